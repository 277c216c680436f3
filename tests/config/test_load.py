"""Loading: inheritance, overrides, and every problem with the place it comes from."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ppresnet.config import RunConfig, from_dict, load
from ppresnet.errors import ConfigError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def problems(path: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_an_empty_recipe_is_the_default_one(write: Write) -> None:
    assert load(write("# nothing\n")) == RunConfig()


def test_output_follows_the_name_unless_given(write: Write) -> None:
    assert load(write("name: a")).output == "runs/a"
    assert load(write("name: a"), ["name=b"]).output == "runs/b"
    assert load(write("name: a\noutput: x/y")).output == "x/y"


def test_later_wins_mappings_merge_lists_replace(write: Write) -> None:
    write("optim: {lr: 0.5, momentum: 0.5}\nschedule: {name: multistep, milestones: [1, 2, 3]}", "base/one.yaml")
    write("optim: {lr: 0.25}\nseed: 7", "base/two.yaml")
    config = load(
        write("_base_: [base/one.yaml, base/two.yaml]\nschedule: {milestones: [9]}\noptim: {weight_decay: 0}")
    )
    assert (config.optim.lr, config.optim.momentum, config.optim.weight_decay) == (0.25, 0.5, 0.0)
    assert (config.schedule.milestones, config.seed) == ((9,), 7)


def test_bases_are_relative_to_their_own_file_and_may_meet_again(write: Write) -> None:
    write("seed: 3\ntrain: {epochs: 5}", "base/root.yaml")
    write("_base_: root.yaml\ntrain: {epochs: 6}", "base/left.yaml")
    write("_base_: ./root.yaml", "base/right.yaml")
    config = load(write("_base_: [../base/left.yaml, ../base/right.yaml]", "deep/recipe.yaml"))
    assert (config.seed, config.train.epochs) == (3, 5)


def test_overrides_are_yaml_and_the_last_one_wins(write: Write) -> None:
    config = load(
        write("train: {epochs: 2}"),
        ["train.epochs=3", "train.epochs=4", "optim.lr=1e-4", "data.root=a=b", "init_from=", "data.mean=[0.5]",
         "ema={decay: 0}", "hardware.threads=2", "log.visualdl=false"],
    )  # fmt: skip
    assert (config.train.epochs, config.optim.lr, config.data.root, config.init_from) == (4, 1e-4, "a=b", None)
    assert (config.data.mean, config.hardware.threads, config.log.visualdl) == ((0.5,), 2, False)


def test_all_problems_come_at_once_with_their_places(write: Write) -> None:
    base = write("optim:\n  lrr: 0.1\n  momentum: 1.5\ntrain:\n  epochs: 3\n", "base.yaml")
    recipe = write("_base_: base.yaml\ntrain:\n  epochs: three\n  epochs: 4\nmodl: {}\nlog:\n  visualdl: on\n")
    assert set(problems(recipe, "optim.lr=abc", "train.epoch=4")) == {
        f"{recipe}:4: duplicate key 'train.epochs', first given on line 3",
        f"{base}:2: unknown key 'optim.lrr'; did you mean 'optim.lr'?",
        f"{base}:3: 'optim.momentum': expected a value below 1.0, found 1.5",
        f"{recipe}:5: unknown key 'modl'; did you mean 'model'?",
        f"{recipe}:7: 'log.visualdl': expected true or false, found the string 'on'",
        "-o optim.lr=abc: 'optim.lr': expected a number, found the string 'abc'",
        "-o train.epoch=4: unknown key 'train.epoch'; did you mean 'train.epochs'?",
    }


def test_a_later_layer_does_not_hide_an_earlier_mistake(write: Write) -> None:
    base = write("optim: {lrr: 0.1}\ntrain: 3\n", "base.yaml")
    recipe = write("_base_: base.yaml\noptim: {lrr: 0.2}\ntrain: {epochs: 3}\n")
    assert problems(recipe, "optim.lrr=1") == (
        f"{base}:1: unknown key 'optim.lrr'; did you mean 'optim.lr'?",
        f"{base}:2: 'train': expected a mapping of keys, found 3",
        f"{recipe}:2: unknown key 'optim.lrr'; did you mean 'optim.lr'?",
        "-o optim.lrr=1: unknown key 'optim.lrr'; did you mean 'optim.lr'?",
    )


def test_a_problem_in_a_base_met_twice_is_told_once(write: Write) -> None:
    root = write("sed: 1", "root.yaml")
    write("_base_: root.yaml", "left.yaml")
    write("_base_: root.yaml", "right.yaml")
    found = problems(write("_base_: [left.yaml, right.yaml]"))
    assert found == (f"{root}:1: unknown key 'sed'; did you mean 'seed'?",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr: 0.1", "unknown key 'lr'; did you mean 'optim.lr'?"),
        ("ema: {zzz: 1}", "unknown key 'ema.zzz'; expected one of ema.decay"),
        ("train: {_base_: x}", "'train._base_': '_base_' is allowed only at the top level of a file"),
        ("train:", "'train': expected a mapping of keys, found null"),
        ("[1, 2]", "expected a mapping of keys, found a list"),
        ("seed: 1.0", "'seed': expected an integer, found 1.0"),
        ("seed: true", "'seed': expected an integer, found true"),
        ("seed: -1", "'seed': expected a value of at least 0, found -1"),
        ("optim: {lr: '0.1'}", "'optim.lr': expected a number, found the string '0.1'"),
        ("optim: {lr: true}", "'optim.lr': expected a number, found true"),
        ("optim: {lr: [0.1]}", "'optim.lr': expected a number, found a list"),
        ("optim: {lr: 0}", "'optim.lr': expected a value above 0.0, found 0"),
        ("optim: {lr: .inf}", "'optim.lr': expected a finite number, found inf"),
        ("optim: {name: sdg}",
         "'optim.name': expected 'sgd', 'adamw', 'lars', 'lamb' or 'rmsprop', found the string 'sdg'"),
        ("optim: {groups: [{match: a, lrr: 2}]}",
         "unknown key 'optim.groups[0].lrr'; did you mean 'optim.groups[0].lr'?"),
        ("optim: {groups: [{lr: 2}]}", "'optim.groups[0].match': required and not given"),
        ("optim: {groups: [head]}", "'optim.groups[0]': expected a mapping, found the string 'head'"),
        ("train: {label_smoothing: 1}", "'train.label_smoothing': expected a value below 1.0, found 1"),
        ("train: {epochs: 0}", "'train.epochs': expected a value of at least 1, found 0"),
        ("name: 3", "'name': expected a string, found 3"),
        ("name: ../x", "'name': expected letters, digits, '_', '-' and '.', not starting with '-' or '.', "
                       "found the string '../x'"),
        ("output: ''", "'output': expected a string that is not empty, found the string ''"),
        ("data: {mean: 0.5}", "'data.mean': expected a list, found 0.5"),
        ("data: {mean: [x]}", "'data.mean[0]': expected a number, found the string 'x'"),
        ("data: {std: [0]}", "'data.std[0]': expected a value above 0.0, found 0"),
        ("hardware: {threads: 0}", "'hardware.threads': expected auto or an integer of at least 1, found 0"),
        ("hardware: {threads: true}", "'hardware.threads': expected auto or an integer of at least 1, found true"),
        ("hardware: {device: tpu}", "'hardware.device': expected 'auto', 'cpu' or 'gpu', found the string 'tpu'"),
        ("model: {name: cifar_resnt20}", "'model.name': unknown model 'cifar_resnt20'; did you mean 'cifar_resnet20'?"),
        ("model: {name: zzz}", "'model.name': unknown model 'zzz'; tools/zoo.py lists every model"),
        ("model: {in_channels: 2}", "'model.in_channels': expected 1 (grey) or 3 (colour), found 2"),
        ("schedule: {name: multistep, milestones: [3, 2]}",
         "'schedule.milestones': expected epochs in increasing order, found a list"),
    ],
)  # fmt: skip
def test_one_problem(write: Write, text: str, problem: str) -> None:
    path = write(text)
    assert problems(path) == (f"{path}:1: {problem}",)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("model:\n  in_channels: 3\ndata: {std: [0.2, 0.2, 0.2]}", 2,
         "'data.mean': expected 3 values because model.in_channels is 3, found 1"),
        ("data:\n  mean: [0.1, 0.2]", 2, "'data.mean': expected 1 value because model.in_channels is 1, found 2"),
        ("data:\n  resize: 7", 2, "'data.resize': expected at least data.input_size, which is 8, found 7"),
        ("seed: 1\nschedule: {name: step}", 2,
         "'schedule.step_epochs': expected an integer because schedule.name is step, found null"),
        ("seed: 1\nschedule: {name: multistep}", 2,
         "'schedule.milestones': expected at least one epoch because schedule.name is multistep, found an empty list"),
        ("seed: 1\noptim: {name: lars, weight_decay: 0}", 2, "'optim.weight_decay': expected a value above 0 because "
         "optim.name is lars, which scales the steps of decayed parameters only, found 0"),
        ("seed: 1\noptim: {name: lars}\namp: {level: O2}", 3,
         "'amp.level': expected O0 or O1 because optim.name is lars, which keeps no float32 weights, found O2"),
        ("data: {format: list, multi_label: true}", 1,
         "'train.loss': expected bce because data.multi_label is true, found cross_entropy"),
        ("train: {loss: bce}\ndata: {multi_label: true}", 2,
         "'data.format': expected list because data.multi_label is true, found digits"),
        ("train: {loss: bce}\ndata: {format: list, multi_label: true}\ndistill: {checkpoint: x}", 3,
         "'distill.checkpoint': expected null because data.multi_label is true, and a teacher is learned from as one "
         "class an image, found x"),
        ("schedule:\n  min_lr: 0.2", 2, "'schedule.min_lr': expected at most optim.lr, which is 0.1, found 0.2"),
    ],
)  # fmt: skip
def test_keys_that_clash(write: Write, text: str, line: int, problem: str) -> None:
    path = write(text)
    assert problems(path) == (f"{path}:{line}: {problem}",)


def test_a_clash_is_told_beside_a_wrong_value_unless_it_follows_from_it(write: Write) -> None:
    path = write("data:\n  mean: [0.1, 0.2]\ntrain:\n  epochs: x\n")
    assert {line.split("'")[1] for line in problems(path)} == {"data.mean", "train.epochs"}
    path = write("model:\n  in_channels: x\ndata: {mean: [0, 0, 0], std: [1, 1, 1]}\n")
    assert problems(path) == (f"{path}:2: 'model.in_channels': expected an integer, found the string 'x'",)


def test_a_circle_of_bases(write: Write) -> None:
    one, two = write("_base_: two.yaml", "one.yaml"), write("seed: 1\n_base_: [one.yaml]", "two.yaml")
    real = [str(path.resolve()) for path in (one, two, one)]
    assert problems(one) == (f"{two}:2: '_base_' goes in a circle: {' -> '.join(real)}",)
    alone = write("_base_: alone.yaml", "alone.yaml")
    assert "goes in a circle" in problems(alone)[0]


def test_files_that_cannot_be_read(write: Write, tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert problems(missing) == (f"{missing}: cannot read this recipe: No such file or directory",)
    path = write("seed: 1\n_base_: none.yaml\nsed: 2")
    assert problems(path, "data.format=sequence") == (
        f"{path}:2: '_base_': cannot read {missing}: No such file or directory",
        f"{path}:3: unknown key 'sed'; did you mean 'seed'?",
        "-o data.format=sequence: 'data.format': not available in this version; "
        "expected digits or folder or list or cifar10 or cifar100, found sequence",
    )
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    assert "not UTF-8" in problems(tmp_path / "latin.yaml")[0]
    assert "s a directory" in problems(tmp_path)[0]


def test_what_a_missing_base_would_have_settled_is_not_told(write: Write) -> None:
    path = write("_base_: none.yaml\nmodel: {in_channels: 3}")
    assert len(problems(path)) == 1


@pytest.mark.parametrize("base", ["3", "[a.yaml, 3]", "{a: b}", "''"])
def test_base_is_a_path_or_a_list_of_paths(write: Write, base: str) -> None:
    write("seed: 1", "a.yaml")
    path = write(f"seed: 1\n_base_: {base}")
    assert problems(path)[0].startswith(f"{path}:2: '_base_': expected a path or a list of paths, found ")


@pytest.mark.parametrize("override", ["optim.lr", "=1", "optim..lr=1", ".=1", "optim.lr=[1", "optim.lr=a: b: c"])
def test_overrides_that_cannot_be_read(write: Write, override: str) -> None:
    (problem,) = problems(write(""), override)
    assert problem.startswith(f"-o {override}: ")


def test_base_is_not_for_overrides(write: Write) -> None:
    assert "only at the top level of a file" in problems(write(""), "_base_=x.yaml")[0]


def test_from_dict_names_the_source_when_there_is_one() -> None:
    with pytest.raises(ConfigError, match=r"^unknown key 'optim.lrr'; did you mean 'optim.lr'\?$"):
        from_dict({"optim": {"lrr": 1}})
    with pytest.raises(ConfigError, match=r"^config.json: 'seed': expected an integer, found 1.5$"):
        from_dict({"seed": 1.5}, source="config.json")


def test_paddle_is_not_imported() -> None:
    code = (
        "import sys; from ppresnet.config import RunConfig, from_dict;"
        "from_dict({'model': {'name': 'resnet18'}, 'data': {'augment': [{'name': 'random_flip'}]}});"
        "sys.exit('paddle' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
