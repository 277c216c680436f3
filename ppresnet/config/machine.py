"""The sections about the machine and about what a run leaves behind."""

from __future__ import annotations

from typing import Literal

from ppresnet.config import values as v


class AmpConfig(v.Section):
    """Mixed precision. On the CPU, bfloat16 means bf16 inside oneDNN kernels."""

    level: Literal["O0", "O1", "O2"] = "O0"
    """O0 is float32; O1 casts listed ops; O2 casts the network."""
    dtype: Literal["float16", "bfloat16"] = "float16"
    """The short type."""
    allow: v.OpNames = ()
    """O1: further operators that run in the short type, such as `[conv2d]`."""
    deny: v.OpNames = ()
    """O1: further operators that stay in float32, such as `[softmax]`."""
    scale: v.Positive = 65536.0
    """float16: the loss scale at the start; it halves after an overflow and doubles after `scale_steps` good steps."""
    scale_steps: v.Count = 2000
    """float16: good steps in a row after which the loss scale doubles."""


class RecomputeConfig(v.Section):
    """Memory for time: activations are computed again in the backward pass."""

    every: v.CountOrZero = 0
    """Blocks to one recomputed segment; 0 keeps every activation."""
    budget_mb: v.Count | None = None
    """Choose the segments so that a step takes at most this above the built network, MB, in each process."""


class HardwareConfig(v.Section):
    """What to run on."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    """auto takes a GPU when Paddle has one."""
    threads: v.Threads = "auto"
    """CPU threads; auto takes the physical cores."""
    onednn: Literal["auto", "enabled", "disabled"] = "auto"
    """CPU training kernels of oneDNN."""
    malloc: Literal["default", "tuned"] = "default"
    """tuned keeps freed pages, which is quicker and takes more memory."""
    processes: v.Threads = 1
    """Data-parallel processes on the CPU, which share each batch; auto measures whether several are faster."""


class CheckpointConfig(v.Section):
    """When the state of a run is saved, and how many states stay."""

    every_epochs: v.Count = 1
    """Epochs from one checkpoint to the next."""
    every_steps: v.Count | None = None
    """Optimizer steps from one checkpoint to the next, besides those of the epochs."""
    keep: v.Count = 3
    """Newest checkpoints that stay, besides the best."""


class LogConfig(v.Section):
    """What a run reports while it goes."""

    every: v.Count = 10
    """Optimizer steps from one line to the next."""
    visualdl: bool = True
    """Write VisualDL scalars too."""
    histograms_every: v.CountOrZero = 0
    """Optimizer steps from one VisualDL histogram of each weight and gradient to the next; 0 writes none."""
    images: v.CountOrZero = 0
    """Evaluation images that VisualDL shows with their predictions after each evaluation."""
    graph: bool = False
    """Let VisualDL show the graph of the network."""
    gradients_every: v.CountOrZero = 0
    """Optimizer steps from one gradient norm of each stage to the next; 0 measures none."""
    activations_every: v.CountOrZero = 0
    """Optimizer steps over which zeros after ReLUs and dead channels are counted; 0 counts none, which is quicker."""
    prometheus_port: v.Port | None = None
    """Port on which the first process answers Prometheus."""
    prometheus_host: v.Text = "127.0.0.1"
    """Address for that port; 0.0.0.0 lets other machines ask."""
    textfile: v.PromFile | None = None
    """A file for the textfile collector of node-exporter, which ends in .prom."""
    wandb: v.Text | None = None
    """Project of Weights & Biases that the numbers are sent to; needs the package wandb."""
