"""The process in which PaddleSlim quantises a frozen program: `python -m deploy.slim.int8.ptq_worker < REQUEST`.

Of PaddleSlim 2.6.0 on Paddle 3.3.1 this call is right: with `onnx_format`, and with `data_loader`, since
`sample_generator` fails.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from ppresnet.bundle import PARAMS, PDMODEL


class Images(paddle.io.Dataset):
    """The calibration images, one by one."""

    def __init__(self, images_NCHW: NDArray[np.float32]) -> None:
        super().__init__()
        self.images = images_NCHW

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        image: NDArray[np.float32] = self.images[index]
        return image


def quantise(request: dict[str, Any]) -> None:
    """Write a quantised program and its parameters.

    Args:
        request: folders `source` and `target`, the file `images` (npy), `batch`, `algorithm`, and `skip`: values whose
            operators stay in float.
    """
    from paddleslim.quant import quant_post_static

    paddle.enable_static()
    place = paddle.CPUPlace()
    executor = paddle.static.Executor(place)
    files = {"model_filename": PDMODEL, "params_filename": PARAMS}
    program, feeds, _ = paddle.static.load_inference_model(request["source"], executor, **files)
    images = Images(np.load(request["images"], allow_pickle=False))
    batch = min(request["batch"], len(images))
    feed = [program.global_block().var(feeds[0])]
    loader = paddle.io.DataLoader(images, feed_list=feed, places=place, batch_size=batch, return_list=False)
    quant_post_static(
        executor,
        request["source"],
        request["target"],
        data_loader=loader,
        batch_nums=-(-len(images) // batch),
        algo=request["algorithm"],
        onnx_format=True,
        skip_tensor_list=request["skip"] or None,
        save_model_filename=PDMODEL,
        save_params_filename=PARAMS,
        **files,
    )


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    quantise(asked)
    for name in (PDMODEL, PARAMS):
        if not (Path(asked["target"]) / name).is_file():
            sys.exit(f"PaddleSlim wrote no {name}")
