"""The tensors of ResNet, Wide ResNet, ResNeXt and CIFAR ResNet, as other libraries name them."""

from ppresnet.models.names.convention import Names, Rule, paddle, plus_one, pytorch

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

RESNET: Names = {"torchvision": pytorch(*_TORCHVISION), "paddle_vision": paddle(*_TORCHVISION)}
