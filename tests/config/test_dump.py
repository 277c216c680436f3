"""A dumped config loads back to an equal one, whatever its values are."""

import json
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from ppresnet.config import RunConfig, dump, from_dict, load, to_dict
from ppresnet.config.tree import plain
from ppresnet.config.yaml12 import parse
from ppresnet.spec import MODELS

texts = st.text(min_size=1, max_size=20)
shares = st.floats(0, 1, exclude_max=True)
counts = st.integers(1, 10**6)
positives = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """Valid recipes as plain values."""
    channels = draw(st.sampled_from([1, 3]))
    size = draw(st.integers(1, 500))
    augment = st.lists(
        st.fixed_dictionaries({"name": st.just("random_flip")}, optional={"p": st.floats(0, 1)}), max_size=3
    )
    return {
        "name": draw(st.sampled_from("aZ_9é数")) + draw(st.text("aZ_9é数.-", max_size=9)),
        "output": draw(texts),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "init_from": draw(st.none() | texts),
        "model": {
            "name": draw(st.sampled_from(sorted(MODELS))),
            "num_classes": draw(counts),
            "in_channels": channels,
            "dropout": draw(shares),
        },
        "data": {
            "root": draw(st.none() | texts),
            "train": draw(texts),
            "input_size": size,
            "resize": draw(st.none() | st.integers(size, 1000)),
            "mean": draw(st.lists(shares, min_size=channels, max_size=channels)),
            "std": draw(st.lists(positives, min_size=channels, max_size=channels)),
            "augment": draw(augment),
        },
        "optim": {"lr": draw(positives), "momentum": draw(shares), "clip_norm": draw(st.none() | positives)},
        "schedule": {
            "name": "multistep",
            "milestones": sorted(draw(st.sets(counts, min_size=1, max_size=4))),
            "warmup_epochs": draw(st.floats(0, 100)),
        },
        "hardware": {"threads": draw(st.just("auto") | counts)},
        "log": {"visualdl": draw(st.booleans())},
    }


@settings(max_examples=60, deadline=None)
@given(recipes())
def test_dump_loads_back_equal(values: dict[str, Any]) -> None:
    config = from_dict(values)
    entry, problems = parse(dump(config), str)
    assert entry is not None and not problems
    assert from_dict(cast(dict[str, Any], plain(entry))) == config


@settings(max_examples=30, deadline=None)
@given(recipes())
def test_json_loads_back_equal(values: dict[str, Any]) -> None:
    config = from_dict(values)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_a_dumped_file_loads(tmp_path: Path) -> None:
    config = from_dict({"name": "on", "data": {"train": "1e-4", "augment": [{"name": "random_flip", "p": 0.25}]}})
    path = tmp_path / "resolved.yaml"
    path.write_text(dump(config), encoding="utf-8")
    assert load(path) == config != RunConfig()


def test_every_key_is_written() -> None:
    text = dump(RunConfig())
    for section, values in to_dict(RunConfig()).items():
        assert f"{section}:" in text
        for key in values if isinstance(values, dict) else ():
            assert f"{key}:" in text
