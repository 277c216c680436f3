"""The contract of the keys: defaults as documented, nothing unavailable accepted, values frozen."""

import copy
import pickle
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ppresnet.config import DataConfig, ModelConfig, RunConfig, from_dict, to_dict
from ppresnet.config.available import AVAILABLE
from ppresnet.config.yaml12 import CoreLoader
from ppresnet.errors import ConfigError
from ppresnet.pixels.augment import AUGMENTS, parse_augment
from ppresnet.spec import OVERRIDES, spec_of

CONTRACT = """
name: digits_resnet20
seed: 1
output: runs/digits_resnet20
model: {name: cifar_resnet20, num_classes: 10, in_channels: 1, act: relu, norm: batch, dropout: 0.0, drop_path: 0.0,
  zero_init_gamma: false}
init_from: null
data: {format: digits, multi_label: false, root: null, train: train, val: test, input_size: 8, mean: [0.305],
  std: [0.376], resize: null, augment: [], workers: 0, cache_mb: 0, max_broken: 0.01}
train: {epochs: 20, batch_size: 64, accumulate: 1, loss: cross_entropy, label_smoothing: 0.0, eval_every: 1, mixup: 0.0,
  cutmix: 0.0, start_size: null, grow_epochs: 1, patience: null}
optim: {name: sgd, lr: 0.1, lr_batch: null, momentum: 0.9, nesterov: true, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
  rho: 0.9, centered: false, trust: 1e-3, weight_decay: 5e-4, clip_norm: null, layer_decay: 1.0, groups: []}
schedule: {name: cosine, warmup_epochs: 1, step_epochs: null, milestones: [], gamma: 0.1, power: 1.0, start: 0.04,
  min_lr: 0.0}
amp: {level: O0, dtype: float16, allow: [], deny: [], scale: 65536, scale_steps: 2000}
recompute: {every: 0, budget_mb: null}
ema: {decay: 0.0}
distill: {checkpoint: null, weight: 0.5, temperature: 4.0, maps: 0.0}
sparsity: {bn: 0.0, group_lasso: 0.0}
finetune: {frozen_stages: 0, frozen_statistics: false, frozen_affine: false, new_head: false}
guard: {spike: null, skips: 3, rollbacks: 1}
hardware: {device: auto, threads: auto, onednn: auto, malloc: default, processes: 1}
checkpoint: {every_epochs: 1, every_steps: null, keep: 3}
log: {every: 10, visualdl: true, histograms_every: 0, images: 0, graph: false, gradients_every: 0,
  activations_every: 0, prometheus_port: null, prometheus_host: 127.0.0.1, textfile: null, wandb: null}
"""

REFUSED: list[tuple[str, str, Any, str, str]] = [
    ("data", "format", "sequence", "digits or folder or list or cifar10 or cifar100", "sequence"),
]


def test_defaults_are_the_contract() -> None:
    assert to_dict(RunConfig()) == yaml.load(CONTRACT, Loader=CoreLoader)  # noqa: S506


def test_the_default_config_passes_its_own_checks() -> None:
    assert from_dict(to_dict(RunConfig())) == RunConfig()


@pytest.mark.parametrize(("section", "key", "value", "able", "found"), REFUSED)
def test_what_is_not_there_yet_is_refused_by_name(section: str, key: str, value: Any, able: str, found: str) -> None:
    problem = f"'{section}.{key}': not available in this version; expected {able}, found {found}"
    with pytest.raises(ConfigError) as caught:
        from_dict({section: {key: value}})
    assert caught.value.problems == (problem,)


def test_every_refusal_is_tested() -> None:
    assert set(AVAILABLE) == {f"{section}.{key}" for section, key, *_ in REFUSED}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("hardware", "onednn", "disabled"),
        ("hardware", "onednn", "enabled"),
        ("hardware", "malloc", "tuned"),
        ("amp", "level", "O1"),
        ("hardware", "device", "gpu"),
        ("hardware", "processes", 2),
        ("hardware", "processes", "auto"),
        ("data", "format", "folder"),
        ("data", "format", "list"),
        ("data", "resize", 8),
        ("amp", "dtype", "bfloat16"),
        ("checkpoint", "every_steps", 5),
        ("model", "zero_init_gamma", True),
        ("optim", "name", "adamw"),
        ("optim", "clip_norm", 1),
        ("schedule", "name", "constant"),
        ("schedule", "warmup_epochs", 0.5),
        ("schedule", "warmup_epochs", 100),
    ],
)
def test_what_is_there_is_accepted(section: str, key: str, value: Any) -> None:
    assert getattr(getattr(from_dict({section: {key: value}}), section), key) == value


def test_sections_are_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().seed = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="valid integer"):
        ModelConfig(num_classes="10")  # type: ignore[arg-type]
    assert DataConfig(mean=[0.5]).mean == (0.5,)  # type: ignore[arg-type]


def test_an_integer_for_a_number_becomes_a_number() -> None:
    lr = from_dict({"optim": {"lr": 1}}).optim.lr
    assert type(lr) is float and lr == 1.0


def test_model_keys_are_those_of_a_spec() -> None:
    fields = ModelConfig().model_dump(exclude={"name"})
    assert set(fields) <= set(OVERRIDES)
    assert spec_of("cifar_resnet20", **fields).act == "relu"


def test_augmentations_are_written_out_and_hashable() -> None:
    config = from_dict({"data": {"augment": [{"name": "random_crop", "padding": 4}, {"name": "random_flip"}]}})
    crop, flip = config.data.augment
    assert crop["name"] == "random_crop" and crop["padding"] == 4
    assert flip["p"] == 0.5
    assert hash(config) == hash(from_dict(to_dict(config)))


def test_augmentations_are_what_the_pixels_take() -> None:
    given = [{"name": name} for name in AUGMENTS]
    config = from_dict({"data": {"augment": given}})
    assert parse_augment(config.data.augment) == tuple(chosen() for chosen in AUGMENTS.values())


def test_a_config_survives_pickle_and_copy() -> None:
    config = from_dict({"data": {"augment": [{"name": "random_resized_crop"}]}})
    assert pickle.loads(pickle.dumps(config)) == config == copy.deepcopy(config)  # noqa: S301


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("random_flip", "'data.augment[0]': expected a mapping with a name, such as {name: random_flip}, "
                        "found the string 'random_flip'"),
        ({"padding": 4}, "'data.augment[0]': expected a name in each augmentation"),
        ({"name": "random_flop"}, "'data.augment[0]': unknown augmentation 'random_flop'; did you mean 'random_flip'?"),
        ({"name": "random_crop", "paddng": 4},
         "unknown key 'data.augment[0].paddng'; did you mean 'data.augment[0].padding'?"),
        ({"name": "random_flip", "p": "x"}, "'data.augment[0].p': expected a number, found the string 'x'"),
        ({"name": "random_flip", "p": 2}, "'data.augment[0].p': expected a value of at most 1.0, found 2"),
        ({"name": "random_resized_crop", "scale": [1, 0.5]},
         "'data.augment[0]': scale is (1.0, 0.5); expected two shares of the area, smaller first, at most 1"),
        ({"name": "random_resized_crop", "scale": [1]}, "'data.augment[0].scale[1]': required and not given"),
    ],
)  # fmt: skip
def test_augmentations_that_are_wrong(entry: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict({"data": {"augment": [entry]}})
    assert problem in caught.value.problems


@pytest.mark.parametrize(
    ("name", "act", "norm"),
    [
        ("cifar_resnet20", "relu", "batch"),
        ("lcnet_100", "hard_swish", "batch"),
        ("vit_tiny_patch16_224", "gelu", "layer"),
        ("vit_small_r26_s32_224", "gelu", "group"),
    ],
)
def test_a_model_has_its_own_activation_and_normalisation_unless_told_otherwise(name: str, act: str, norm: str) -> None:
    config = from_dict({"model": {"name": name}})
    assert (config.model.act, config.model.norm) == (act, norm)
    assert spec_of(**config.model.model_dump()).act == act
    assert from_dict(to_dict(config)) == config
    assert from_dict({"model": {"name": name, "act": "silu"}}).model.act == "silu"
