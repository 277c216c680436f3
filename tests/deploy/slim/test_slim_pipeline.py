"""The order of a slim run: nothing twice, nothing stale, nothing lost; its report. The commands are stood in for."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_specs import random_checkpoint
from slim_commands import Commands
from tiny_network import save_tiny, tiny_spec

from deploy.slim.pipeline import __main__ as pipeline
from deploy.slim.pipeline import journal, preflight, process
from deploy.slim.pipeline.driver import Driver
from deploy.slim.pipeline.life import Life, Story
from deploy.slim.pipeline.report import write_report
from deploy.slim.recipe import load_slim
from ppresnet import cli
from ppresnet.checkpoint import Store
from ppresnet.errors import InterruptedRunError, PpresnetError, ProcessError, RequestError
from ppresnet.train.outcome import died

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "configs" / "slim" / "digits_resnet20.yaml"
SCRIPT = ROOT / "deploy" / "slim" / "slim.sh"
ALL = ["train", "sensitivity", "plan", "cut", "finetune", "bundle", "compare"]


def live(folder: Path, *overrides: str, breaks: str = "", partial: str = "") -> tuple[Commands, Story]:
    commands = Commands(tiny_spec(), breaks=breaks, partial=partial)
    driver = Driver(folder, commands, lambda line: None)
    return commands, Life(load_slim(RECIPE, overrides), driver).run()


def steps(folder: Path, *overrides: str) -> list[str]:
    return live(folder, *overrides)[0].ran


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    assert steps(tmp_path) == ALL
    assert steps(tmp_path) == []


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("seed=2", "train"),
        ("train.epochs=3", "train"),
        ("sensitivity.images=99", "sensitivity"),
        ("importance.score=l1", "sensitivity"),
        ("target.macs=0.6", "plan"),
        ("round_to=4", "plan"),
        ("allocation.scope=internal", "plan"),
        ("allocation.blocks=true", "plan"),
        ("recalibrate=64", "cut"),
        ("finetune.train.epochs=3", "finetune"),
        ("finetune.distill.weight=0", "finetune"),
        ("latency.batch=4", "compare"),
        ("max_drop=3", ""),
        ("data.workers=1", ""),
        ("hardware.threads=2", ""),
        ("log.every=5", ""),
        ("data.root=elsewhere", "sensitivity"),
    ],
)
def test_a_changed_setting_runs_its_step_and_what_follows_from_it(tmp_path: Path, override: str, first: str) -> None:
    live(tmp_path)
    again = steps(tmp_path, override)
    assert again[:1] == ([first] if first else [])
    if override.startswith("data.root"):  # trainings resume on images that were moved; what measures them does not
        assert again == ["sensitivity", "plan", "cut", "bundle", "compare"]
    if first == "finetune":
        assert again == ALL[ALL.index("finetune") :]
    assert set(again) <= set(ALL[ALL.index(first) :] if first else [])


def test_sensitivities_matter_to_the_plan_only_where_it_reads_them(tmp_path: Path) -> None:
    live(tmp_path, "allocation.name=sensitivity")
    assert "plan" in steps(tmp_path, "allocation.name=sensitivity", "sensitivity.images=9")
    live(tmp_path)
    assert steps(tmp_path, "sensitivity.images=8") == ["sensitivity"]


@pytest.mark.parametrize("name", ALL[:-1])
def test_a_kill_loses_only_the_step_it_comes_in(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, breaks=name)
    assert steps(tmp_path) == ALL[ALL.index(name) :]


def test_a_killed_training_goes_on_and_another_one_starts_anew(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, breaks="train")
    (tmp_path / "train" / "left").touch()
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, breaks="train")
    assert (tmp_path / "train" / "left").exists()
    assert live(tmp_path)[0].asked["train"].resume
    (tmp_path / "train" / "left").touch()
    live(tmp_path, "train.epochs=3")
    assert not (tmp_path / "train" / "left").exists()


def test_finished_work_is_kept_when_settings_change_and_is_found_again(tmp_path: Path) -> None:
    live(tmp_path)
    before = checkpoints(tmp_path / "train")
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, "train.epochs=3", breaks="train")
    (kept,) = (tmp_path / "earlier").iterdir()
    assert kept.name.startswith("train-") and checkpoints(kept) == before
    (tmp_path / "train" / "half").touch()
    assert steps(tmp_path) == [], "the settings of before find the work of before"
    assert checkpoints(tmp_path / "train") == before
    live(tmp_path, "train.epochs=3", breaks="")
    assert (tmp_path / "train" / "half").exists(), "what was half done is gone on with"
    assert {path.name.partition("-")[0] for path in (tmp_path / "earlier").iterdir()} >= {"train", "cut", "finetune"}
    assert steps(tmp_path) == []


def test_the_result_of_a_step_that_failed_is_not_in_the_way_of_a_finished_one(tmp_path: Path) -> None:
    live(tmp_path)
    before = checkpoints(tmp_path / "cut")
    with pytest.raises(ProcessError):
        live(tmp_path, "recalibrate=64", partial="cut")
    assert (tmp_path / "results" / "cut.json").exists()
    assert steps(tmp_path) == []
    assert checkpoints(tmp_path / "cut") == before


@pytest.mark.parametrize("at", range(9))
def test_a_kill_while_work_is_kept_aside_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    live(tmp_path)
    before = checkpoints(tmp_path / "cut")
    written = iter(range(99))

    def die(function: Callable[..., None]) -> Callable[..., None]:
        def dying(*arguments: object) -> None:
            if next(written) == at:
                raise KeyboardInterrupt
            function(*arguments)

        return dying

    with monkeypatch.context() as patched:
        patched.setattr(journal, "move", die(journal.move))
        patched.setattr(journal, "write_entries", die(journal.write_entries))
        with contextlib.suppress(KeyboardInterrupt):
            live(tmp_path, "recalibrate=64", breaks="cut")
        with contextlib.suppress(KeyboardInterrupt):
            live(tmp_path)
    assert steps(tmp_path) == []
    assert checkpoints(tmp_path / "cut") == before


def checkpoints(folder: Path) -> list[tuple[str, int]]:
    """Names, and when they were written."""
    return [(path.name, path.stat().st_mtime_ns) for path in sorted((folder / "checkpoints").glob("step-*/*"))]


def test_a_folder_that_was_moved_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path / "old", "quantize={}", breaks="compare")
    for file in (tmp_path / "old" / "results").iterdir():
        assert str(tmp_path) not in file.read_text(), file.name
    new = (tmp_path / "old").rename(tmp_path / "new")
    commands, story = live(new, "quantize={}")
    assert commands.ran == ["compare"]
    newest = new.rename(tmp_path / "newest")
    commands, story = live(newest, "quantize={}")
    assert commands.ran == []
    figures = write_report(story, newest).figures
    for key in ("checkpoint", "bundle", "int8"):
        assert Path(figures[key]).is_relative_to(newest) and Path(figures[key]).exists()


def test_a_network_elsewhere_is_still_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    live(tmp_path / "run", "checkpoint=own")
    folder = (tmp_path / "run").rename(tmp_path / "moved")
    rows = live(folder, "checkpoint=own")[1].compare["rows"]
    assert Path(rows[0]["checkpoint"]).is_relative_to(tmp_path / "own")
    assert Path(rows[1]["checkpoint"]).is_relative_to(folder / "cut")


@pytest.mark.parametrize(
    ("file", "step"), [("plan/plan.json", "plan"), ("results/cut.json", "cut"), ("bundle/deploy.json", "bundle")]
)
def test_what_was_damaged_is_made_again(tmp_path: Path, file: str, step: str) -> None:
    live(tmp_path)
    with (tmp_path / file).open("a") as text:
        text.write(" ")
    assert steps(tmp_path) == [step]


def test_what_was_altered_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring goes on with what its file holds, whoever wrote it."""
    live(tmp_path)
    file, own, found = tmp_path / "sensitivity" / "sensitivity.json", Commands._sensitivity, list[bool]()

    def watched(self: Commands, asked: object) -> object:
        found.append(file.exists())
        return own(self, asked)  # type: ignore[arg-type]

    monkeypatch.setattr(Commands, "_sensitivity", watched)
    with file.open("a") as text:
        text.write(" ")
    live(tmp_path)
    assert found == [False]


def test_a_teacher_that_was_trained_again_is_learned_from_again(tmp_path: Path) -> None:
    own = f"finetune.distill.checkpoint={tmp_path / 'own'}"
    save_tiny(tmp_path / "own")
    live(tmp_path / "run", own)
    assert steps(tmp_path / "run", own) == []
    save_tiny(tmp_path / "own", seed=1)
    assert steps(tmp_path / "run", own) == ["finetune"], "which leaves the same here"


@pytest.mark.parametrize("key", ["init_from", "distill.checkpoint"])
def test_what_the_whole_network_starts_and_learns_from_is_among_what_decides(tmp_path: Path, key: str) -> None:
    own = (f"{key}={tmp_path / 'own'}", "finetune.distill.checkpoint=null")
    save_tiny(tmp_path / "own")
    live(tmp_path / "run", *own)
    assert steps(tmp_path / "run", *own) == []
    save_tiny(tmp_path / "own", seed=1)
    assert steps(tmp_path / "run", *own)[:1] == ["train"]


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "mine").touch()
    with pytest.raises(RequestError, match="no step wrote"):
        live(tmp_path)
    assert (tmp_path / "plan" / "mine").exists()
    (tmp_path / "journal.json").write_text("[]")
    with pytest.raises(RequestError, match="no journal"):
        live(tmp_path)


def test_commands_are_told_what_the_recipe_says(tmp_path: Path) -> None:
    asked = live(tmp_path, "target={macs: null, params: 0.4}", "importance={score: l2, aggregate: first}", "seed=7")[
        0
    ].asked
    plan = asked["plan"]
    assert (plan.macs, plan.params, plan.importance, plan.aggregate, plan.seed) == (None, 0.4, "l2", "first", 7)
    assert (asked["sensitivity"].subset, asked["sensitivity"].shares) == (512, [0.125, 0.25, 0.5, 0.75])
    assert asked["cut"].recalibrate == 2048
    tuned = dict(each.split("=", 1) for each in asked["finetune"].overrides)
    assert json.loads(tuned["init_from"]).startswith(str(tmp_path / "cut"))
    assert json.loads(tuned["distill.checkpoint"]).startswith(str(tmp_path / "train"))
    assert asked["bundle"].checkpoint == asked["compare"].smaller[-1]


@pytest.mark.parametrize(("how", "taught"), [("weight: 0", False), ("weight: 0, maps: 2", True), ("weight: 0.5", True)])
def test_the_whole_network_teaches_where_something_is_learned_from_it(tmp_path: Path, how: str, taught: bool) -> None:
    commands, _ = live(tmp_path, f"finetune.distill={{{how}}}", "allocation.scope=internal")
    given = [each.partition("=")[0] for each in commands.asked["finetune"].overrides]
    assert ("distill.checkpoint" in given) == taught


def test_blocks_are_asked_for_with_the_images_they_are_measured_on(tmp_path: Path) -> None:
    commands, story = live(tmp_path, "importance={score: l1, images: 99}", "allocation.blocks=true")
    assert (commands.asked["plan"].blocks, commands.asked["plan"].images) == (True, 99)
    write_report(story, tmp_path)
    assert "Whole blocks went" in (tmp_path / "report.md").read_text()
    plain, story = live(tmp_path / "channels", "importance={score: l1, images: 99}")
    assert not plain.asked["plan"].blocks
    write_report(story, tmp_path / "channels")
    assert "Scores: l1 by flow" in (tmp_path / "channels" / "report.md").read_text()


def test_a_network_that_is_there_is_not_trained(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "own")
    commands, story = live(tmp_path / "run", f"checkpoint={tmp_path / 'own'}", "finetune.distill.checkpoint=null")
    assert commands.ran == ALL[1:]
    assert story.checkpoint == path
    assert [each.partition("=")[0] for each in commands.asked["finetune"].overrides] == ["init_from"]


def test_iterative_pruning_reaches_the_target_in_equal_factors(tmp_path: Path) -> None:
    asked = ("steps=2", "target.macs=0.49", "allocation.name=sensitivity")
    commands, story = live(tmp_path, *asked)
    names = [f"{name}-{number}" for number in (1, 2) for name in ALL[1:5]]
    assert commands.ran == ["train", *names, *ALL[5:]]
    assert commands.asked["plan-1"].macs == pytest.approx(0.7)
    done = story.rounds[0].plan["after"]["macs"] / story.rounds[0].plan["before"]["macs"]
    assert commands.asked["plan-2"].macs == pytest.approx(0.49 / done, rel=1e-5)
    teachers = {
        dict(each.split("=", 1) for each in commands.asked[f"finetune-{n}"].overrides)["distill.checkpoint"]
        for n in (1, 2)
    }
    assert len(teachers) == 1
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, *asked, "finetune.optim.lr=0.3", breaks="sensitivity-2")
    assert steps(tmp_path, *asked, "finetune.optim.lr=0.3") == [*names[4:], *ALL[5:]]


def test_a_coarse_cut_that_meets_the_target_is_the_last_one(tmp_path: Path) -> None:
    commands, story = live(tmp_path, "steps=3", "target.macs=0.995")
    plan = story.rounds[0].plan
    assert plan["after"]["macs"] < 0.995 * plan["before"]["macs"]
    assert commands.ran == ["train", *(f"{name}-1" for name in ALL[1:5]), *ALL[5:]]
    write_report(story, tmp_path)
    assert "| fine-tuned |" in (tmp_path / "report.md").read_text()


def test_engine_and_int8_are_passed_on(tmp_path: Path) -> None:
    extra = ("engine=paddleslim", "importance.score=fpgm", "quantize={calibration: 32, onnx: false}")
    commands, story = live(tmp_path, *extra)
    assert commands.ran == [*ALL[:6], "int8", "compare"]
    assert (commands.asked["plan"].engine, commands.asked["plan"].importance) == ("paddleslim", "fpgm")
    asked = commands.asked["int8"]
    assert (asked.calibration, asked.onnx, asked.images, asked.method) == (32, False, None, "ptq")
    report = write_report(story, tmp_path)
    assert report.figures["top1_int8"] == 96.5
    assert report.figures["latency_int8"] == 1.25
    assert "top-1 of 454 images 97.00 to 96.50 %" in (tmp_path / "report.md").read_text()
    few, story = live(tmp_path, *extra[:2], "quantize={calibration: 32, onnx: false, images: 50}")
    assert few.asked["int8"].images == 50
    # 90 to 88 % of all images, then 97 to 96.5 % of fifty.
    assert write_report(story, tmp_path).lost == pytest.approx(2.5)


@pytest.mark.parametrize("name", ["bundle", "int8"])
def test_a_bundle_without_its_onnx_file_is_reported_and_still_fails(tmp_path: Path, name: str) -> None:
    commands = Commands(tiny_spec(), partial=name)
    recipe = load_slim(RECIPE, ["quantize={}"])
    story = Life(recipe, Driver(tmp_path, commands, lambda line: None)).run()
    assert commands.asked["compare"].int8 == tmp_path / "int8"
    again = Commands(tiny_spec())
    for told in (story, Life(recipe, Driver(tmp_path, again, lambda line: None)).run()):
        assert told.failure is not None and told.failure.exit_code == 3
        assert "model.onnx is too far" in str(told.failure)
        assert write_report(told, tmp_path).figures["top1_int8"] == 96.5
        assert "what did not hold: model.onnx is too far" in (tmp_path / "report.md").read_text()
    assert again.ran == []


def test_the_report_names_the_steps_of_this_recipe_only(tmp_path: Path) -> None:
    live(tmp_path, "steps=2", "quantize={}")
    _, story = live(tmp_path)
    assert list(story.seconds) == ALL


def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    _, story = live(tmp_path)
    figures = write_report(story, tmp_path).figures
    assert (figures["top1_before"], figures["top1_cut"], figures["top1_after"]) == (90.0, 89.0, 88.0)
    assert (figures["macs_before"], figures["macs_after"]) == (9000, 7000)
    assert (figures["params_before"], figures["params_after"]) == (1000, 800)
    assert (figures["latency_before"], figures["latency_after"]) == (2.0, 1.5)
    assert Path(figures["checkpoint"]).parents[1] == tmp_path / "finetune"
    whole = json.loads((tmp_path / "report.json").read_text())
    assert {key: whole[key] for key in figures} == figures
    changed = {name: width for name, width in whole["widths"].items() if width["before"] != width["after"]}
    assert changed and all(width["before"] - width["after"] == 1 for width in changed.values())
    assert set(whole["seconds"]) == set(ALL)
    text = (tmp_path / "report.md").read_text()
    assert "| fine-tuned | 88.00 | 800 | 7,000 | 1.500 |" in text
    for name in ("widths.png", "front.png"):
        assert f"]({name})" in text
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"


@pytest.mark.parametrize(("share", "told"), [("0.5", "50%"), ("0.476", "47.6%"), ("0.58", "58%")])
def test_the_report_says_the_target_as_it_was_asked_for(tmp_path: Path, share: str, told: str) -> None:
    _, story = live(tmp_path, f"target.macs={share}")
    write_report(story, tmp_path)
    assert f"Target: {told} of the MACs." in (tmp_path / "report.md").read_text().splitlines()


def test_a_loss_beyond_the_limit_is_a_failed_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(tiny_spec())
    monkeypatch.setattr(pipeline, "Driver", lambda folder, before: Driver(folder, commands, lambda line: None))

    def code(*overrides: str) -> int:
        command = ["-c", str(RECIPE), "--output", str(tmp_path), "--json", str(tmp_path / "j.json"), "-o", *overrides]
        return cli.run(pipeline.main, pipeline.parse(command))

    assert code("max_drop=2.0") == 0  # the commands that stand in lose two points
    figures = json.loads((tmp_path / "j.json").read_text())
    (tmp_path / "j.json").unlink()
    assert code("max_drop=1.5") == 3
    assert json.loads((tmp_path / "j.json").read_text()) == figures
    commands.unequal = "int8"
    assert code("quantize={}") == 3
    assert "| fine-tuned |" in (tmp_path / "report.md").read_text()
    commands.unequal = "plan"
    (tmp_path / "report.md").unlink()
    assert code("target.macs=0.6") == 3
    assert not (tmp_path / "report.md").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("engine=paddleslim", "importance.score=l1"), "engine: paddleslim: expected PaddleSlim to be installed"),
        (("quantize={}",), "quantize: expected PaddleSlim to be installed"),
        (("latency={backend: native, precision: bf16}",), "native computes in fp32; 'bf16' would change nothing"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_first_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overrides: tuple[str, ...],
    message: str,
) -> None:
    commands = Commands(tiny_spec())
    monkeypatch.setattr(
        pipeline, "Driver", lambda folder, before: Driver(folder, commands, lambda line: None, before=before)
    )
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None)
    command = ["-c", str(RECIPE), "--output", str(tmp_path), "-o", *overrides]
    assert cli.run(pipeline.main, pipeline.parse(command)) == 2
    assert message in capsys.readouterr().err
    assert commands.ran == []
    live(tmp_path, *overrides)
    assert cli.run(pipeline.main, pipeline.parse(command)) == 0, "what is done already can be reported anywhere"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.name=cifar_odenet",), "the family 'ode' cannot be pruned"),
        (("model.name=cifar_plain20", "allocation.blocks=true"), "blocks whose skip is an identity, found none"),
        (("allocation.blocks=true", "checkpoint=own"), "blocks whose skip is an identity, found none"),
    ],
)
def test_networks_that_cannot_be_cut_so_are_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], message: str
) -> None:
    spec = tiny_spec()
    last = spec.model_copy(update={"stages": (spec.stages[0][1:], spec.stages[1])})
    Store(tmp_path / "own" / "checkpoints").save(random_checkpoint(last, np.random.default_rng(0)), 1)
    monkeypatch.chdir(tmp_path)
    commands, recipe = Commands(spec), load_slim(RECIPE, overrides)
    driver = Driver(tmp_path / "run", commands, lambda line: None, lambda: preflight.expect_possible(recipe))
    with pytest.raises(RequestError, match=message):
        Life(recipe, driver).run()
    assert commands.ran == []


def test_a_step_that_fails_gives_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessError, match="'plan' ended with exit code 3") as failed:
        process.run("plan", ["-c", "import sys; print('why'); sys.exit(3)"])
    assert failed.value.exit_code == 3
    assert capfd.readouterr().err == "why\n"
    with pytest.raises(PpresnetError, match="SIGKILL"):
        process.run("plan", ["-c", "import os; os.kill(os.getpid(), 9)"])


def test_a_signal_is_passed_on_and_waited_for() -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(30)\n"
    )
    with pytest.raises(InterruptedRunError, match="SIGINT during the step 'train'"):
        process.run("train", ["-c", code])


def test_a_step_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    child = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    code = f"from deploy.slim.pipeline import process; process.run('x', ['-c', {child!r}])"
    run = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    file = tmp_path / "pid"
    while run.poll() is None and not (file.exists() and file.read_text()):
        time.sleep(0.02)
    pid = int(file.read_text())
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while not died(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert died(pid)


def test_the_script_sets_up_and_hands_its_arguments_on(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "slim" / "slim.sh"
    python, setup = tmp_path / ".venv" / "bin" / "python", tmp_path / "tools" / "setup.sh"
    for path, text in ((script, SCRIPT.read_text()), (python, '#!/bin/sh\necho "$@"\n'), (setup, "echo set-up >&2\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    python.chmod(0o755)
    command = ["bash", str(script), "-c", "a b.yaml", "--json", "x"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("-m deploy.slim.pipeline -c a b.yaml --json x\n", "set-up\n")
    setup.write_text("exit 2\n")
    assert subprocess.run(command, cwd="/", capture_output=True).returncode == 2
