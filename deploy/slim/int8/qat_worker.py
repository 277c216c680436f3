"""The process in which PaddleSlim trains with rounded values: `python -m deploy.slim.int8.qat_worker < REQUEST`.

Only the weights are kept. PaddleSlim's own program of such a network lacks ranges where a convolution or an addition is
no layer, as in a padded skip, and oneDNN then refuses it (Paddle 3.3.1); the usual calibration gives every value one.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import paddle
from paddle import nn
from safetensors.numpy import load_file, save_file

from ppresnet.checkpoint.state import restore_weights
from ppresnet.config import RunConfig, from_dict
from ppresnet.data import Loader, Samples, batches, open_split, preprocess_of
from ppresnet.models import build
from ppresnet.spec import spec_from_dict
from ppresnet.train.clipping import clip_gradients
from ppresnet.train.losses import cross_entropy
from ppresnet.train.optim import build_optimizer
from ppresnet.train.schedule import learning_rate
from ppresnet.train.seeds import derive, seed_paddle


def learn(request: dict[str, Any]) -> None:
    """Train a network with rounded values, and write its weights.

    Args:
        request: `spec`, `config`, the files `weights` and `target`, `epochs`, `lr`, and `skip`: structured names of
            layers that are not rounded.
    """
    from paddleslim.dygraph.quant import QAT

    config = from_dict(request["config"])
    seed_paddle(config.seed)
    model = build(spec_from_dict(request["spec"]))
    restore_weights(model, load_file(request["weights"]))
    # PaddleSlim wraps the layers, so that names change; the tensors stay the same ones.
    tensors = dict(model.state_dict())
    for name, layer in model.named_sublayers():
        layer.skip_quant = name in request["skip"]
    QAT({"onnx_format": True}).quantize(model)
    train(model, config, request["epochs"], request["lr"])
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, request["target"])


def train(model: nn.Layer, config: RunConfig, epochs: int, lr: float) -> None:
    """Train on the recipe's data with its augmentation, loss and optimiser; the rate falls along a half cosine."""
    source = open_split(
        config.data, "train", in_channels=config.model.in_channels, num_classes=config.model.num_classes
    )
    preprocess = preprocess_of(config.data, config.model.in_channels)
    samples = Samples(source, preprocess, config.data.augment, seed=derive(config.seed, "augment"))
    optimizer = build_optimizer(config.optim, model)
    size = min(config.train.batch_size, len(source))
    schedule = config.schedule.model_copy(update={"name": "cosine", "warmup_epochs": 0.0, "min_lr": 0.0})
    model.train()
    with Loader(samples, config.data.workers) as loader:
        for epoch in range(epochs):
            order = batches(len(source), size, seed=config.seed, epoch=epoch, drop_last=True)
            for number, batch in enumerate(loader.run(epoch, order)):
                step = epoch * len(order) + number
                optimizer.set_lr(learning_rate(schedule, lr, step, len(order), epochs))
                logits = model(paddle.to_tensor(batch.images))
                labels, smoothing = paddle.to_tensor(batch.labels), config.train.label_smoothing
                loss = cross_entropy(logits, labels, smoothing, config.train.loss)
                if not np.isfinite(float(loss)):
                    sys.exit(f"the loss is {float(loss)} in step {step}; lower --lr, which is {lr:g}")
                loss.backward()
                clip_gradients(model, config.optim.clip_norm)
                optimizer.step()
                optimizer.clear_grad()


if __name__ == "__main__":
    learn(json.load(sys.stdin))
