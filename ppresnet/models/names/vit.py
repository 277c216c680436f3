"""The tensors of vision transformers, as timm names them."""

from ppresnet.models.names.convention import Names, plus_one, pytorch

VIT: Names = {
    "timm": pytorch(
        (r"^tokens\.", ""),
        (r"^stages\.0\.(\d+)\.", r"blocks.\1."),
        (r"^head\.fc\.", "head."),
        (r"^patch_embed\.backbone\.stages\.(\d+)\.", r"patch_embed.backbone.stages.\1.blocks."),
        (r"branch\.(\d+)\.conv\.", plus_one("conv")),
        (r"branch\.(\d+)\.norm\.", plus_one("norm")),
        (r"\.skip\.", ".downsample."),
    )
}
