"""Penalties of sparse training against float64 numpy, in whole steps and in a run; processes: test_distributed.py."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import rank_worker
from machine import MACHINE
from paddle import nn
from relative import difference

from ppresnet.checkpoint import read
from ppresnet.config import RunConfig, SparsityConfig, from_dict
from ppresnet.data import Batch, Samples, open_split, preprocess_of
from ppresnet.errors import ConfigError
from ppresnet.models import create
from ppresnet.train.ranks import ALONE
from ppresnet.train.run import train
from ppresnet.train.scaling import LossScale
from ppresnet.train.sparsity import Sparsity, sparsity_of
from ppresnet.train.step import Step

BOTH = {"bn": 0.01, "group_lasso": 0.02}
Arrays = dict[str, np.ndarray]


def small() -> nn.Layer:
    paddle.seed(0)
    model = nn.Sequential(
        nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Conv2D(4, 6, 1, groups=2), nn.GroupNorm(2, 6), nn.Flatten(),
        nn.Linear(6, 2),
    )  # fmt: skip
    model[1].weight.set_value(np.array([0.5, -2.0, 0.0, 1e-3], np.float32))
    kernel = model[0].weight.numpy()
    kernel[2] = 0.0
    model[0].weight.set_value(kernel)
    return model


def weights_of(model: nn.Layer) -> Arrays:
    return {name: tensor.numpy().astype(np.float64) for name, tensor in model.named_parameters() if tensor.trainable}


def penalty(weights: Arrays, config: SparsityConfig) -> float:
    scales = np.abs(weights["1.weight"]).sum()
    channels = sum(np.sqrt((weights[f"{name}.weight"] ** 2).sum(axis=(1, 2, 3))).sum() for name in (0, 2))
    return float(config.bn * scales + config.group_lasso * channels)


def slopes(weights: Arrays, config: SparsityConfig) -> Arrays:
    """Return the derivative of the penalty by every weight, from both sides, so that a kink counts as zero."""
    found = {}
    for name, array in weights.items():
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            ends = []
            for move in (1e-6, -1e-6):
                moved = array.copy()
                moved[index] += move
                ends.append(penalty({**weights, name: moved}, config))
            slope[index] = (ends[0] - ends[1]) / 2e-6
        found[name] = slope
    return found


@pytest.mark.parametrize("config", [{"bn": 0.3}, {"group_lasso": 0.2}, {"bn": 0.3, "group_lasso": 0.2}], ids=str)
def test_what_is_added_is_the_slope_of_the_penalty(config: dict[str, float]) -> None:
    model, chosen = small(), SparsityConfig(**config)
    before = {name: np.full(array.shape, 0.25) for name, array in weights_of(model).items()}
    for name, parameter in model.named_parameters():
        if parameter.trainable and name != "0.weight":  # a parameter that no image reached has no gradient yet
            parameter.grad = paddle.full(parameter.shape, 0.25)
    before["0.weight"][:] = 0.0
    Sparsity(chosen, model).add()
    expected = slopes(weights_of(model), chosen)
    for name, parameter in model.named_parameters():
        if parameter.trainable and parameter.grad is not None:
            np.testing.assert_allclose(parameter.grad.numpy() - before[name], expected[name], atol=1e-6)
    assert (model[0].weight.grad is None) == ("group_lasso" not in config)
    assert np.abs(expected["1.weight"]).max() == pytest.approx(config.get("bn", 0.0))


def test_frozen_and_shared_layers() -> None:
    model = small()
    model[1].weight.stop_gradient = True
    with pytest.raises(ConfigError, match=r"sparsity\.bn: expected a network with a BatchNorm that is trained"):
        Sparsity(SparsityConfig(bn=0.1), model)
    with pytest.raises(ConfigError, match=r"sparsity\.group_lasso: expected a network with a convolution"):
        Sparsity(SparsityConfig(group_lasso=0.1), nn.Linear(2, 2))
    first, second = nn.Conv2D(2, 2, 1), nn.Conv2D(2, 2, 1)
    second.weight = first.weight
    Sparsity(SparsityConfig(group_lasso=0.1), nn.Sequential(first, second)).add()
    norms = np.sqrt((first.weight.grad.numpy() ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(norms, 0.1, rtol=1e-5)
    assert sparsity_of(SparsityConfig(), model) is None


def recipe(**sections: Any) -> RunConfig:
    return from_dict({"log": {"every": 2, "visualdl": False}, **sections})


def gradients(sparsity: dict[str, float], sizes: tuple[int, ...], scale: LossScale | None = None) -> Arrays:
    """Return what reaches the optimiser in one step of these batches."""
    config = recipe(sparsity=sparsity, model={"norm": "batch"})
    paddle.seed(1)
    model = create("cifar_resnet20", in_channels=1)
    model.eval()  # so that the batches do not matter to each other
    recorder = rank_worker.Recorder(model)
    step = Step(config, model, recorder, sparsity=sparsity_of(config.sparsity, model), scale=scale)
    samples = Samples(open_split(config.data, "train", in_channels=1, num_classes=10), preprocess_of(config.data, 1))
    batches: list[Batch] = rank_worker.group(samples, sizes, ALONE)
    assert step.run(batches, 0, 0, 0.1)[0] == "go"
    return recorder.gradients


def test_accumulation_and_the_scale_of_the_loss_leave_the_penalty_as_it_is() -> None:
    added = {}
    for name, (sizes, scale) in {
        "one": ((8,), None),
        "three": ((3, 3, 2), None),
        "scaled": ((8,), LossScale(1024.0, 100)),
    }.items():
        without, with_it = gradients({}, sizes, scale), gradients(BOTH, sizes, scale)
        added[name] = np.concatenate([(with_it[key] - without[key]).ravel() for key in without])
        scales = [key for key in without if key.endswith("norm.weight")]
        for key in scales:
            np.testing.assert_allclose(with_it[key] - without[key], BOTH["bn"], rtol=1e-3)  # all scales start at 1
    assert difference(added["three"], added["one"]) < 1e-3
    assert difference(added["scaled"], added["one"]) < 1e-3


def test_it_is_part_of_what_is_clipped() -> None:
    model = small()
    clip = nn.ClipGradByGlobalNorm(1e-3)
    rule = paddle.optimizer.SGD(1.0, parameters=[p for p in model.parameters() if p.trainable], grad_clip=clip)
    before = weights_of(model)
    Sparsity(SparsityConfig(bn=5.0), model).add()
    rule.step()
    moved = np.concatenate([(weights_of(model)[name] - array).ravel() for name, array in before.items()])
    assert np.linalg.norm(moved) == pytest.approx(1e-3, rel=1e-2)


def trained(folder: Path, **sparsity: float) -> Arrays:
    sections = {"train": {"epochs": 1, "batch_size": 128}, "schedule": {"warmup_epochs": 0}, "sparsity": sparsity}
    return read(train(recipe(**sections), folder, MACHINE, report=lambda _: None).last).weights


def test_a_run_makes_scales_and_channels_small(tmp_path: Path) -> None:
    plain, slim = trained(tmp_path / "plain"), trained(tmp_path / "slim", bn=0.2, group_lasso=0.2)

    def scales(weights: Arrays) -> float:
        return float(np.mean([np.abs(array).mean() for name, array in weights.items() if name.endswith("norm.weight")]))

    def channels(weights: Arrays) -> float:
        norms = [np.sqrt((a**2).sum(axis=(1, 2, 3))).mean() for a in weights.values() if a.ndim == 4]
        return float(np.mean(norms))

    assert scales(slim) < 0.8 * scales(plain)
    assert channels(slim) < 0.8 * channels(plain)
