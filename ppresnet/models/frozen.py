"""Parts of a network that training leaves as they are, for fine-tuning and for backbones of detectors."""

from paddle import nn

from ppresnet.errors import ConfigError
from ppresnet.layers import DropPath

STEM = ("stem", "patch_embed", "tokens")  # what families call the layers before their first stage
BATCH_NORMS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)
NORMS = (*BATCH_NORMS, nn.GroupNorm, nn.LayerNorm)


def freeze(model: nn.Layer, stages: int) -> None:
    """Keep the stem and the first stages of a network as they are, in training mode too.

    Their parameters get no gradient, their BatchNorms use and keep the running statistics, and their dropout is off.
    Freezing adds up; a network of the same weights that is built anew is free.

    Args:
        model: a network of `create`.
        stages: how many stages to freeze behind the stem; 0 is the stem alone.

    Raises:
        ConfigError: the network has no stages, or not as many.
    """
    found = list(getattr(model, "stages", ()))
    if not found:
        raise ConfigError(f"freeze: expected a network with stages, found {type(model).__name__}; use freeze_norms")
    if not 0 <= stages <= len(found):
        raise ConfigError(f"freeze: expected 0 to {len(found)} stages, all that there are; found {stages}")
    parts = [getattr(model, name) for name in STEM if hasattr(model, name)] + found[:stages]
    parts += list(getattr(model, "transitions", ()))[: max(stages - 1, 0)]
    for part in parts:
        _freeze_part(part)


def freeze_norms(model: nn.Layer, statistics: bool = True, affine: bool = True) -> int:
    """Keep the normalisations of a network as they are, in training mode too, and return how many there are.

    With small batches the statistics of a batch are poor, and a detector keeps those of the pretrained backbone.

    Args:
        model: any network, or part of one.
        statistics: let every BatchNorm use its running statistics and not move them; other kinds have none.
        affine: give scale and shift (gamma and beta) no gradient.

    Raises:
        ConfigError: there is no normalisation.
    """
    norms = [layer for layer in model.sublayers(include_self=True) if isinstance(layer, NORMS)]
    if not norms:
        raise ConfigError(f"freeze_norms: expected a network with normalisations, found none in {type(model).__name__}")
    for norm in norms:
        if statistics and isinstance(norm, BATCH_NORMS):
            norm._use_global_stats = True
        if affine:
            _stop_gradients(norm)
    return len(norms)


def _freeze_part(part: nn.Layer) -> None:
    _stop_gradients(part)
    for layer in part.sublayers(include_self=True):
        if isinstance(layer, BATCH_NORMS):
            layer._use_global_stats = True
        elif isinstance(layer, nn.Dropout):
            layer.p = 0.0
        elif isinstance(layer, DropPath):
            layer.rate = 0.0


def _stop_gradients(layer: nn.Layer) -> None:
    for parameter in layer.parameters():
        parameter.stop_gradient = True
