"""Which operators a network promises to run as one."""

from typing import NamedTuple

from paddle import nn

from ppresnet.bundle import Pattern, Site


class Promise(NamedTuple):
    """What follows a convolution and is to run with it; a layer that has a `conv` carries it as `promise`."""

    pattern: Pattern
    act: str | None


def conv_norm_promise(act: str | None, residual: bool = False) -> Promise:
    """Return the promise of a convolution with BatchNorm, then an addition, then an activation, where there are any."""
    if residual:
        return Promise("conv+bn+residual+act", act)
    return Promise("conv+bn+act" if act else "conv+bn", act)


def promised_sites(model: nn.Layer) -> tuple[Site, ...]:
    """Return every site the layers of a network promise, in the order they were built.

    A GroupNorm depends on the image and cannot be folded, so a convolution before one promises nothing. The filter
    names are those of this very object, so take the sites from the model whose program is saved.
    """
    return tuple(
        Site(
            name=f"{name}.conv" if name else "conv",
            pattern=layer.promise.pattern,
            act=layer.promise.act,
            parameter=layer.conv.weight.name,
        )
        for name, layer in model.named_sublayers(include_self=True)
        if isinstance(getattr(layer, "promise", None), Promise)
        and not isinstance(getattr(layer, "norm", None), nn.GroupNorm)
    )
