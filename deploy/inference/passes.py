"""The fusion passes that Paddle Inference runs on a GPU, as a graph rewrite that needs none.

The list is what Paddle 2.6.2 and 3.3.1 give a GPU config for convolutions in `.pdmodel` programs (GpuPassStrategy of
paddle/fluid/inference/api/paddle_pass_builder.cc); the operators it makes have GPU kernels only, so nothing is run.
"""

from pathlib import Path

from paddle import inference

from deploy.inference.config import build_config
from deploy.inference.graph import Graph
from deploy.inference.program import read_graph
from deploy.inference.runtime import Runtime

GPU_PASSES = (
    "is_test_pass",
    "constant_folding_pass",
    "delete_repeated_ops_pass",
    "conv_bn_fuse_pass",
    "conv_eltwiseadd_bn_fuse_pass",
    "gpu_cpu_map_matmul_v2_to_mul_pass",
    "gpu_cpu_map_matmul_v2_to_matmul_pass",
    "matmul_scale_fuse_pass",
    "fc_fuse_pass",
    "conv_elementwise_add_act_fuse_pass",
    "conv_elementwise_add2_act_fuse_pass",
    "conv_elementwise_add_fuse_pass",
    "transpose_flatten_concat_fuse_pass",
    "identity_op_clean_pass",
)


def gpu_graph(directory: Path, workspace: Path) -> Graph:
    """Return the program of a folder as the GPU passes would leave it.

    Args:
        directory: holds `inference.pdmodel` and `inference.pdiparams`.
        workspace: an empty folder for what the passes write.
    """
    # A list of one's own is kept only while oneDNN is on, and only when it is set last.
    config = build_config(directory, Runtime("onednn", format="pdmodel"), memory_optim=False)
    config.set_optim_cache_dir(str(workspace))
    config.enable_save_optim_model(True)
    config.pass_builder().set_passes(list(GPU_PASSES))
    inference.create_predictor(config)
    return read_graph(workspace / "_optimized.pdmodel")
