"""The tensors of PP-LCNet, as other libraries name them."""

import re

from ppresnet.models.names.convention import Names, paddle, pytorch

_STAGE_THREE_OF_TIMM = 2  # blocks; the others of our fourth stage, which have the same resolution, are its stage four


def _timm_block(match: re.Match[str]) -> str:
    stage, block = int(match[1]), int(match[2])
    if (stage, block) >= (3, _STAGE_THREE_OF_TIMM):
        stage, block = stage + 1, block - (_STAGE_THREE_OF_TIMM if stage == 3 else 0)
    return f"blocks.{stage}.{block}."


LCNET: Names = {
    "timm": pytorch(
        (r"^stem\.conv\.", "conv_stem."),
        (r"^stem\.norm\.", "bn1."),
        (r"^stages\.(\d+)\.(\d+)\.", _timm_block),
        (r"\.depthwise\.conv\.", ".conv_dw."),
        (r"\.depthwise\.norm\.", ".bn1."),
        (r"\.excite\.(reduce|expand)\.", r".se.conv_\1."),
        (r"\.pointwise\.conv\.", ".conv_pw."),
        (r"\.pointwise\.norm\.", ".bn2."),
        (r"^head\.conv\.", "conv_head."),
        (r"^head\.fc\.", "classifier."),
    ),
    "paddleclas": paddle(
        refused=(
            (
                r"^last_conv\.weight$",
                "has no bias in PaddleClas, whose dropout also scales what follows by 0.8 in evaluation; "
                "take timm's weights, whose last convolution has a bias and no such scale",
            ),
        ),
    ),
}
