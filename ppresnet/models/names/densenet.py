"""The tensors of DenseNet, as other libraries name them."""

import re

from ppresnet.models.names.convention import Names, Rule, paddle, plus_one, pytorch

_TORCHVISION: tuple[Rule, ...] = (
    (r"^stem\.conv\.(conv|norm)\.", r"features.\g<1>0."),
    (r"^stages\.(\d+)\.(\d+)\.", lambda match: f"features.denseblock{int(match[1]) + 1}.{_layer(match)}."),
    (r"\.before\.norm\.", ".norm1."),
    (r"\.reduce\.conv\.", ".conv1."),
    (r"\.reduce\.norm\.", ".norm2."),
    (r"\.grow\.conv\.", ".conv2."),
    (r"^transitions\.(\d+)\.", plus_one("features.transition")),
    (r"(transition\d+)\.norm1\.", r"\1.norm."),
    (r"(transition\d+)\.conv1\.", r"\1.conv."),
    (r"^after\.norm\.", "features.norm5."),
    (r"^head\.fc\.", "classifier."),
)

# The files that torchvision publishes were saved by a version that wrote `denselayer1.norm.1.weight`.
_OLDER: tuple[Rule, ...] = ((r"(denselayer\d+)\.(norm|conv|relu)\.([12])\.", r"\1.\2\3."),)

_PADDLE: tuple[Rule, ...] = (
    (r"^stem\.conv\.conv\.", "conv1_func._conv."),
    (r"^stem\.conv\.norm\.", "conv1_func._batch_norm."),
    (r"^stages\.(\d+)\.(\d+)\.", lambda match: _paddle_layer(int(match[1]) + 2, int(match[2]) + 1)),
    (r"^transitions\.(\d+)\.", lambda match: f"tr_conv{int(match[1]) + 2}_blk."),
    (r"_blk\.before\.norm\.", "_blk.conv_ac_func._batch_norm."),
    (r"_blk\.reduce\.conv\.", "_blk.conv_ac_func._conv."),
    (r"\.before\.norm\.", ".bn_ac_func1._batch_norm."),
    (r"\.reduce\.conv\.", ".bn_ac_func1._conv."),
    (r"\.reduce\.norm\.", ".bn_ac_func2._batch_norm."),
    (r"\.grow\.conv\.", ".bn_ac_func2._conv."),
    (r"^after\.norm\.", "batch_norm."),
    (r"^head\.fc\.", "out."),
)


def _layer(match: re.Match[str]) -> str:
    return f"denselayer{int(match[2]) + 1}"


def _paddle_layer(stage: int, layer: int) -> str:
    return f"db_conv_{stage}.conv{stage}_{layer}."


DENSENET: Names = {
    "torchvision": pytorch(*_TORCHVISION, older=_OLDER),
    "timm": pytorch(*_TORCHVISION),
    "paddle_vision": paddle(*_PADDLE),
    "paddleclas": paddle(*_PADDLE),
}
