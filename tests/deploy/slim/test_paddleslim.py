"""The engine `paddleslim`: its oracle, its checks on answers that are wrong, and the commands."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from absent import need_paddleslim
from random_specs import logits, random_checkpoint
from relative import difference
from tiny_network import save_tiny

from deploy.slim import command
from deploy.slim import cut as cut_command
from deploy.slim import plan as plan_command
from deploy.slim.cutting import cut, cut_tensors
from deploy.slim.filter_pruners import planning, process, worker
from deploy.slim.filter_pruners.naming import by_group
from deploy.slim.filter_pruners.process import Answer, Collection
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import Group
from deploy.slim.kept import Kept
from deploy.slim.plan_file import read_plan
from deploy.slim.target import Target
from ppresnet import cli
from ppresnet.checkpoint import resolve
from ppresnet.checkpoint.state import final_weights
from ppresnet.errors import CheckFailedError, PpresnetError, RequestError
from ppresnet.spec import BlockSpec, ResNetSpec, StemSpec, spec_of

ROOT = Path(__file__).resolve().parents[3]
BASIC = (
    BlockSpec(kind="basic", widths=(5, 6), skip="identity"),
    BlockSpec(kind="basic", widths=(6, 12), skip="projection", stride=2),
)
SPEC = ResNetSpec(name="small", num_classes=5, input_size=8, stem=StemSpec(kind="cifar", width=6), stages=(BASIC,))
CHECKPOINT = random_checkpoint(SPEC, np.random.default_rng(0))
GRAPH = channel_graph(SPEC)
TRUNK, INNER = "stem.conv", "stages.0.0.branch.0.conv"
KEEP = {TRUNK: (0, 2, 5), INNER: (1, 3, 4)}
Change = Callable[[Answer], Answer]


@pytest.fixture
def installed() -> None:
    need_paddleslim("PaddleSlim")


def axes(group: Group) -> frozenset[tuple[str, int]]:
    return frozenset((member.tensor, member.axis) for member in group.members)


def test_resnet50_is_grouped_alike(installed: None) -> None:
    spec = spec_of("resnet50", input_size=32)
    checkpoint, graph = random_checkpoint(spec, np.random.default_rng(0)), channel_graph(spec)
    request = {"spec": checkpoint.spec, "rule": "l1", "groups": {}}
    answer = process.ask(request, checkpoint.weights, np.ones((1, 3, 32, 32), np.float32))
    assert answer.failed == ""
    assert len(answer.collections) == 37
    assert {collection.members for collection in answer.collections} == {axes(group) for group in graph}


@pytest.mark.parametrize(
    ("name", "size", "rule", "scope"),
    [
        ("cifar_resnet20", 16, "fpgm", "internal"),
        pytest.param("resnet18", 64, "l1", "all", marks=pytest.mark.slow),
        pytest.param("resnet50", 64, "l2", "all", marks=pytest.mark.slow),
        pytest.param("seresnet50", 64, "l1", "all", marks=pytest.mark.slow),
    ],
)
def test_its_own_network_in_its_process_answers_as_our_cut_here(
    installed: None, monkeypatch: pytest.MonkeyPatch, name: str, size: int, rule: planning.Rule, scope: Any
) -> None:
    spec = spec_of(name, input_size=size)
    checkpoint, graph, answers = random_checkpoint(spec, np.random.default_rng(0)), channel_graph(spec), []

    def listening(*asked: Any) -> Answer:
        answers.append(process.ask(*asked))
        return answers[-1]

    monkeypatch.setattr(planning, "ask", listening)
    plan = planning.paddleslim_plan(checkpoint, rule, Target("macs", 0.5), planning.Limits(scope=scope), graph=graph)
    smaller = cut(checkpoint, plan, graph)
    assert 0.45 < plan.after.macs / plan.before.macs <= 0.5
    assert {name: array.shape for name, array in smaller.weights.items()} == answers[0].shapes
    assert difference(logits(smaller), answers[0].logits) < 1e-5
    assert difference(logits(smaller), logits(checkpoint)) > 1e-2


def perfect(keep: Mapping[str, Sequence[int]]) -> Answer:
    """Return the answer of a PaddleSlim that does all as asked."""
    smaller = cut_tensors(CHECKPOINT, SPEC, Kept(GRAPH, keep), frozenset())
    kept = {
        (member.tensor, member.axis): tuple(np.flatnonzero(np.isin(member.units, units)).tolist())
        for name, units in keep.items()
        for member in GRAPH.groups[name].members
    }
    collections = tuple(Collection(group.members[0].tensor, axes(group)) for group in GRAPH)
    shapes = {name: array.shape for name, array in smaller.weights.items()}
    return Answer("", (), collections, kept, shapes, logits(smaller))


def without(answer: Answer, *gone: tuple[str, int]) -> Answer:
    """Return the answer of one that leaves axes as they were."""
    shapes = {name: list(shape) for name, shape in answer.shapes.items()}
    for name, axis in gone:
        shapes[name][axis] = CHECKPOINT.weights[name].shape[axis]
    return replace(
        answer,
        kept={key: positions for key, positions in answer.kept.items() if key not in gone},
        shapes={name: tuple(shape) for name, shape in shapes.items()},
    )


def regrouped(answer: Answer, change: Callable[[Collection], list[Collection]]) -> Answer:
    return replace(answer, collections=tuple(made for each in answer.collections for made in change(each)))


def trunk_alone(change: Callable[[Collection], list[Collection]]) -> Change:
    return lambda answer: regrouped(answer, lambda each: change(each) if each.master == f"{TRUNK}.weight" else [each])


WRONG: dict[str, tuple[Change, type[PpresnetError], str]] = {
    "it did nothing": (
        lambda answer: without(answer, *answer.kept),
        CheckFailedError,
        "to keep 3 of the 6 units of group 'stem.conv', and kept 6 in 'stem.conv.weight'",
    ),
    "it forgot a member": (
        lambda answer: without(answer, ("stem.norm._mean", 0)),
        CheckFailedError,
        r"cut group 'stem.conv' differently .* along axis 0 of 'stem.norm._mean', found \[0, 1, 2, 3, 4, 5\]",
    ),
    "it cut a member elsewhere": (
        lambda answer: replace(answer, kept={**answer.kept, ("stem.norm._mean", 0): (0, 2, 4)}),
        CheckFailedError,
        r"\[0, 2, 5\] along axis 0 of 'stem.norm._mean', found \[0, 2, 4\]",
    ),
    "it says so and does not": (
        lambda answer: replace(answer, shapes={**answer.shapes, "stem.norm.bias": (6,)}),
        CheckFailedError,
        r"of 'stem.norm.bias', found \[\]",
    ),
    "it raised": (lambda answer: replace(answer, failed="pruning: X"), CheckFailedError, "it failed while pruning: X"),
    "it cannot trace": (
        lambda answer: replace(answer, failed="tracing the network: Y", collections=()),
        RequestError,
        "cannot take this network; .*--engine ppresnet.*; it failed while tracing the network: Y",
    ),
    "it has no group": (
        lambda answer: replace(trunk_alone(lambda _: [])(answer), remarks=("Unsupported operator named foo",)),
        RequestError,
        r"1 of 2 channel groups; .*\n  stem.conv: it has no collection for it \(Unsupported operator named foo\)",
    ),
    "it has two groups": (
        trunk_alone(lambda each: [each, Collection("stages.0.0.branch.1.conv.weight", each.members)]),
        RequestError,
        r"stem.conv: it takes it for 2, of stem.conv.weight, stages.0.0.branch.1.conv.weight$",
    ),
    "it leaves out": (
        trunk_alone(lambda each: [replace(each, members=each.members - {("stem.norm.bias", 0)})]),
        RequestError,
        "stem.conv: it leaves out axis 0 of stem.norm.bias$",
    ),
    "it takes in": (
        trunk_alone(lambda each: [replace(each, members=each.members | {("x", 1), ("z", 0)})]),
        RequestError,
        "stem.conv: it takes in too axis 1 of x and 1 more$",
    ),
    "its network is another": (
        lambda answer: replace(answer, logits=answer.logits * 1.001),
        CheckFailedError,
        "answer differently: expected logits apart by at most 0.0001, relatively, found 0.00",
    ),
    "its network is broken": (lambda answer: replace(answer, logits=answer.logits * np.nan), CheckFailedError, "nan"),
    "its network is dead": (lambda answer: replace(answer, logits=answer.logits * 0), CheckFailedError, "nan"),
}


def keep_by(answer: Answer, patch: pytest.MonkeyPatch) -> dict[str, tuple[int, ...]]:
    patch.setattr(planning, "ask", lambda *_: answer)
    counts = {name: len(units) for name, units in KEEP.items()}
    return planning.paddleslim_keep(CHECKPOINT, GRAPH, counts, "l1")


def test_a_right_answer_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_by(perfect(KEEP), monkeypatch) == KEEP


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_no_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        keep_by(change(perfect(KEEP)), monkeypatch)


def test_a_group_goes_by_the_name_of_any_member() -> None:
    rows = [member.tensor for member in GRAPH.groups[TRUNK].members if member.role != "columns"]
    assert len(rows) == 10
    assert [by_group(GRAPH, {name: 3}) for name in (TRUNK, *rows)] == [{TRUNK: 3}] * 11
    for counts, reason in (
        ({"stem.conv.wieght": 3}, "did you mean 'stem.conv.weight'"),
        ({"head.fc": 3}, "it is the output of the network"),
        ({TRUNK: 6}, "expected 1 to 5 of 6 units to keep, found 6"),
        ({TRUNK: 3, "stem.norm.bias": 4}, "'stem.norm.bias' asks for 4 units of group 'stem.conv', another name 3"),
    ):
        with pytest.raises(RequestError, match=reason):
            by_group(GRAPH, counts)
    padded = channel_graph(spec_of("cifar_resnet20", input_size=16))
    with pytest.raises(RequestError, match=r"belong to several groups; name one of them: stem\.conv, stages\.1\.0"):
        by_group(padded, {"stages.1.1.branch.1.conv.weight": 3})


def test_a_process_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.ones((1, 3, 8, 8), np.float32)
    with pytest.raises(PpresnetError, match=r"took longer than 0\.01 s"):
        process.ask({}, final_weights(CHECKPOINT), images, timeout=0.01)
    monkeypatch.setattr(process, "MODULE", "deploy.slim.none")
    with pytest.raises(PpresnetError, match=r"exit code 1; its last output:\n.*No module named deploy\.slim\.none"):
        process.ask({}, final_weights(CHECKPOINT), images)
    with pytest.raises(RequestError, match=r"pip install 'ppresnet\[slim\]'"):
        process.answer_of({"failed": "tracing the network: ModuleNotFoundError: no paddleslim", "remarks": []})


def run(module: Any, *arguments: object) -> int:
    return cli.run(module.main, module.parse([str(argument) for argument in arguments]))


def test_plan_and_cut_with_the_commands(installed: None, tmp_path: Path) -> None:
    save_tiny(tmp_path / "run")
    plan, asked = tmp_path / "plan.json", ("--checkpoint", tmp_path / "run", "--macs", 0.8, "--scope", "internal")
    engine = ("--engine", "paddleslim", "--importance", "l2", "--steps", 2)
    assert run(plan_command, *asked, *engine, "--output", plan, "--json", tmp_path / "plan_result.json") == 0
    made = read_plan(plan)
    assert (made.options["engine"], made.options["importance"]) == ("paddleslim", "l2")
    assert made.after.macs <= 0.8 * made.before.macs
    assert json.loads((tmp_path / "plan_result.json").read_text())["after"]["macs"] == made.after.macs
    cut_asked = ("--checkpoint", tmp_path / "run", "--plan", plan, "--output", tmp_path / "cut", "--recalibrate", 0)
    assert run(cut_command, *cut_asked) == 0
    code = (
        "import sys; from pathlib import Path; from ppresnet.checkpoint import read; "
        "from ppresnet.checkpoint.state import model_of; import paddle; "
        f"print(float(model_of(read(Path({str(resolve(tmp_path / 'cut'))!r})))(paddle.ones([1, 1, 8, 8])).sum())); "
        "assert not any(name.startswith(('deploy', 'paddleslim')) for name in sys.modules)"
    )
    fresh = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ([], "expected l1, l2 or fpgm, found --importance path"),
        (["--importance", "random"], "found --importance random"),
        (["--importance", "l1", "--allocation", "global"], "expected density or uniform, found --allocation global"),
        (["--importance", "l1", "--aggregate", "max"], "found --aggregate max"),
        (["--importance", "l1", "--blocks"], "expected channels, found --blocks"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_read(
    flags: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--checkpoint", tmp_path / "none", "--macs", 0.5, "--output", tmp_path / "plan.json")
    assert run(plan_command, *asked, "--engine", "paddleslim", *flags) == 2
    assert reason in capsys.readouterr().err


def test_rules_have_one_list() -> None:
    assert set(planning.RULES) == set(command.PADDLESLIM_RULES) == set(worker.PRUNERS)


def test_nothing_to_cut_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "ask", None)
    assert planning.paddleslim_keep(CHECKPOINT, GRAPH, {}, "l1") == {}
