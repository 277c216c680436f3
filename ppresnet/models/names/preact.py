"""The tensors of pre-activation ResNet, as timm names them."""

import re

from ppresnet.models.names.convention import Names, plus_one, pytorch


def _norm_behind(match: re.Match[str]) -> str:
    # timm counts the normalisation before the first convolution as number one.
    return f"norm{int(match[1]) + 2}."


PREACT: Names = {
    "timm": pytorch(
        (r"^stem\.conv\.conv\.", "stem.conv."),
        (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"\.before\.norm\.", ".norm1."),
        (r"branch\.(\d+)\.conv\.", plus_one("conv")),
        (r"branch\.(\d+)\.norm\.", _norm_behind),
        (r"\.skip\.conv\.", ".downsample.conv."),
        (r"^after\.norm\.", "norm."),
    )
}
