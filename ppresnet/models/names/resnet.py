"""The tensors of ResNet, Wide ResNet, ResNeXt and CIFAR ResNet, as other libraries name them."""

from itertools import accumulate

from ppresnet.models.names.convention import Convention, Names, Rule, paddle, plus_one, pytorch
from ppresnet.spec import ResNetSpec

_TORCHVISION: tuple[Rule, ...] = (
    (r"^stem\.(?:conv\.)?norm\.", "bn1."),
    (r"^stem\.(?:conv\.)?conv\.", "conv1."),
    (r"^stages\.(\d+)\.", plus_one("layer")),
    (r"branch\.(\d+)\.conv\.", plus_one("conv")),
    (r"branch\.(\d+)\.norm\.", plus_one("bn")),
    (r"skip\.project\.conv\.", "downsample.0."),
    (r"skip\.project\.norm\.", "downsample.1."),
    (r"^head\.fc\.", "fc."),
)

# timm has torchvision's names, and those of what torchvision lacks.
_TIMM: tuple[Rule, ...] = (*_TORCHVISION, (r"\.se\.reduce\.", ".se.fc1."), (r"\.se\.expand\.", ".se.fc2."))

# akamaster/pytorch_resnet_cifar10 and kuangliu/pytorch-cifar.
_PYTORCH_CIFAR: tuple[Rule, ...] = (
    (r"skip\.project\.conv\.", "shortcut.0."),
    (r"skip\.project\.norm\.", "shortcut.1."),
    *_TORCHVISION,
    (r"^fc\.", "linear."),
)

_RESNEXT_OF_PADDLECLAS: tuple[Rule, ...] = (
    (r"^stem\.", ""),
    (r"^stages\.(\d+)\.(\d+)\.", r"bb_\1_\2."),
    (r"branch\.(\d+)\.", r"conv\1."),
    (r"skip\.project\.", "short."),
    (r"\.conv\.", "._conv."),
    (r"\.norm\.", "._batch_norm."),
    (r"^head\.fc\.", "out."),
)


def _paddleclas(spec: ResNetSpec) -> Convention:
    """Return the names of PaddleClas, which counts the blocks of a ResNet through all stages."""
    if any(block.groups > 1 for stage in spec.stages for block in stage):
        return paddle(*_RESNEXT_OF_PADDLECLAS)
    first = list(accumulate((len(stage) for stage in spec.stages), initial=0))
    refused = [
        (
            r"^stem\.[12]\.",
            "is of a ResNet-D (`_vd`), whose stem has three convolutions and whose projections pool first",
        )
    ]
    if spec.stages[0][0].skip != "projection":
        why = f"is the projection that PaddleClas gives the first block; {spec.name}, as published, has none there"
        refused.append((r"^blocks\.0\.short\.", why))
    return paddle(
        (r"^stem\.(?:conv\.)?(conv|norm)\.", r"stem.0.\1."),
        (r"^stages\.(\d+)\.(\d+)\.", lambda match: f"blocks.{first[int(match[1])] + int(match[2])}."),
        (r"branch\.(\d+)\.", r"conv\1."),
        (r"skip\.project\.", "short."),
        (r"\.norm\.", ".bn."),
        (r"^head\.fc\.", "fc."),
        refused=tuple(refused),
    )


RESNET: Names = {
    "torchvision": pytorch(*_TORCHVISION),
    "timm": pytorch(*_TIMM),
    "paddle_vision": paddle(*_TORCHVISION),
    "paddleclas": _paddleclas,
    "pytorch_cifar": pytorch(*_PYTORCH_CIFAR),
}
