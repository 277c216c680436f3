"""PaddleSlim's defects, each seen as it is today, and what we do instead: refuse with the reason, or do it right.

One process tries PaddleSlim on everything. A trial that no longer shows its defect tells that an upgrade changed it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddleslim_trials
import pytest
from absent import need_paddleslim
from paddle import nn
from random_specs import logits, random_checkpoint
from relative import difference

from deploy.slim.allocation import Limits, uniform
from deploy.slim.cutting import cut
from deploy.slim.filter_pruners import planning, process
from deploy.slim.grouping import channel_graph, graph_of
from deploy.slim.groups import ChannelGraph
from deploy.slim.importance import scores
from deploy.slim.masking import masked
from deploy.slim.plan_file import Plan
from deploy.slim.planner import make_plan, plan_of
from deploy.slim.recipe import load_slim
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint, Store
from ppresnet.checkpoint.state import final_weights, spec_of_checkpoint
from ppresnet.errors import ConfigError, RequestError
from ppresnet.paddle_api import has_json
from ppresnet.spec import (
    BlockSpec,
    DenseLayerSpec,
    DenseNetSpec,
    LCNetSpec,
    ModelSpec,
    PreActBlockSpec,
    PreActSpec,
    ResNetSpec,
    SeparableSpec,
    StemSpec,
)

ROOT = Path(__file__).resolve().parents[3]
need_paddleslim("PaddleSlim")


def resnet(blocks: tuple[BlockSpec, ...], **fields: Any) -> ResNetSpec:
    stem = StemSpec(kind="cifar", width=6)
    return ResNetSpec(name="small", num_classes=5, input_size=8, stem=stem, stages=(blocks,), **fields)


BASIC = (
    BlockSpec(kind="basic", widths=(5, 6), skip="identity"),
    BlockSpec(kind="basic", widths=(6, 12), skip="projection", stride=2),
)
SQUEEZED = (BlockSpec(kind="basic", widths=(5, 6), skip="identity", se=3),)
GROUPED = (BlockSpec(kind="bottleneck", widths=(4, 4, 12), skip="projection", groups=2),)
PADDED = (BlockSpec(kind="basic", widths=(5, 12), skip="zero_pad", stride=2),)
PREACT = (PreActBlockSpec(kind="basic", widths=(5, 6), skip="identity"),)
DENSE = ((DenseLayerSpec(growth=4, bottleneck=6), DenseLayerSpec(growth=4)),)
SEPARABLE = ((SeparableSpec(kernel=3, width=8, stride=1), SeparableSpec(kernel=5, width=8, stride=1, reduced=3)),)
PLAIN = {"name": "small", "num_classes": 5, "input_size": 8}

RIGHT: dict[str, ModelSpec] = {
    "basic": resnet(BASIC),
    "SE": resnet(SQUEEZED),
    "GELU": resnet(BASIC, act="gelu"),
    "SiLU": resnet(BASIC, act="silu"),
    "pre-activation": PreActSpec(stem=StemSpec(kind="cifar", width=6), stages=(PREACT,), **PLAIN),
    "depthwise": LCNetSpec(stem=6, stages=SEPARABLE, hidden=9, act="hard_swish", **PLAIN),
}
REFUSED: dict[str, tuple[ModelSpec, str]] = {
    "grouped": (resnet(GROUPED), r"it takes it for 2, of .*; its units are 2 channels each"),
    "concat": (
        DenseNetSpec(stem=StemSpec(kind="cifar", width=6), stages=DENSE, transitions=(), **PLAIN),
        r"it has no collection for it \(Unsupported operator named concat\)",
    ),
    "zero pad": (resnet(PADDED), r"stem\.conv: it takes it for 2, of stem\.conv\.weight, stages\.0\.0\.branch\.1"),
    "group norm": (
        resnet(BASIC, norm="group"),
        r"it has no collection for it \(Unsupported operator named group_norm\)",
    ),
}


def unread(checkpoint: Checkpoint, graph: ChannelGraph, name: str, unit: int) -> Checkpoint:
    """Make what takes a unit blind to it, and what gives it loud."""
    weights = {key: array.copy() for key, array in checkpoint.weights.items()}
    for member in graph.groups[name].members:
        if member.role in ("columns", "rows"):
            np.moveaxis(weights[member.tensor], member.axis, 0)[member.units == unit] *= (
                0 if member.role == "columns" else 9
            )
    return Checkpoint(weights, {}, {}, checkpoint.spec, checkpoint.config, checkpoint.progress)


@dataclass(frozen=True)
class Case:
    checkpoint: Checkpoint
    graph: ChannelGraph
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    rule: planning.Rule = "l1"

    def plan(self) -> Plan:
        return planning.paddleslim_plan(self.checkpoint, self.rule, Target("macs", 0.6), self.limits, graph=self.graph)


def case(spec: ModelSpec, **limits: Any) -> Case:
    return Case(random_checkpoint(spec, np.random.default_rng(0)), channel_graph(spec), Limits(**limits))


TRUNK = "stem.conv"
CASES = {name: case(spec) for name, spec in RIGHT.items()}
CASES |= {name: case(spec) for name, (spec, _) in REFUSED.items()}
CASES["zero pad, branches alone"] = case(resnet(PADDED), scope="internal", most=0.99)
CASES |= {rule: replace(CASES["basic"], rule=rule) for rule in planning.RULES}
CASES["decoy"] = Case(unread(CASES["basic"].checkpoint, CASES["basic"].graph, TRUNK, 2), CASES["basic"].graph)


class PutError(Exception):
    pass


@dataclass(frozen=True)
class Trials:
    seen: dict[str, Any]
    answers: dict[str, process.Answer]
    patch: pytest.MonkeyPatch

    def plan(self, name: str) -> Plan:
        """Return the plan of a case, with the answer that PaddleSlim gave to its question."""
        self.patch.setattr(planning, "ask", lambda *_: self.answers[name])
        return CASES[name].plan()


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, process.Answer]]:
    folder = tmp_path_factory.mktemp("trials")
    for name, each in CASES.items():
        question = folder / "questions" / name
        question.mkdir(parents=True)

        def put(*asked: Any, question: Path = question) -> process.Answer:
            process.put(question, *asked)
            raise PutError

        with pytest.MonkeyPatch.context() as patch, pytest.raises(PutError):
            patch.setattr(planning, "ask", put)
            each.plan()
    done = subprocess.run(
        [sys.executable, paddleslim_trials.__file__, folder / "questions", folder / "answers.json"],
        env=os.environ | {"FLAGS_enable_pir_api": "0", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "answers.json").read_text())
    return found["seen"], {name: process.answer_of(answer) for name, answer in found["answers"].items()}


@pytest.fixture
def trials(tried: tuple[dict[str, Any], dict[str, process.Answer]], monkeypatch: pytest.MonkeyPatch) -> Trials:
    return Trials(*tried, monkeypatch)


@pytest.mark.parametrize("name", [*RIGHT, "zero pad, branches alone"])
def test_what_it_groups_right_is_cut_as_it_cuts(trials: Trials, name: str) -> None:
    each, answer = CASES[name], trials.answers[name]
    plan = trials.plan(name)
    smaller = cut(each.checkpoint, plan, each.graph)
    assert {key: array.shape for key, array in smaller.weights.items()} == answer.shapes
    assert difference(logits(smaller), answer.logits) < 1e-5
    assert difference(logits(smaller), logits(each.checkpoint)) > 1e-2
    assert plan.after.macs <= 0.6 * plan.before.macs


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_group_is_refused_with_the_reason(trials: Trials, name: str) -> None:
    with pytest.raises(RequestError, match=REFUSED[name][1]) as raised:
        trials.plan(name)
    assert "--engine ppresnet" in str(raised.value)
    # What it lets lie there, our own engine cuts.
    each = CASES[name]
    own = make_plan(each.checkpoint, Target("macs", 0.6), lambda c, g: uniform(g, scores(g, c.weights), Limits()))
    assert np.isfinite(logits(cut(each.checkpoint, own, each.graph))).all()


def by_hand(rule: str, kernel: np.ndarray) -> list[float]:
    flat = [filters.ravel().astype(np.float64) for filters in kernel]
    if rule == "fpgm":
        return [sum(float(np.linalg.norm(one - other)) for other in flat) for one in flat]
    return [float(np.linalg.norm(one, 1 if rule == "l1" else 2)) for one in flat]


@pytest.mark.parametrize("rule", planning.RULES)
def test_rules_are_what_they_are_called(trials: Trials, rule: str) -> None:
    each, plan = CASES[rule], trials.plan(rule)
    assert len(plan.groups) == 4
    masters = {collection.master for collection in trials.answers[rule].collections}
    for name, kept in plan.groups.items():
        (master,) = masters & {member.tensor for member in each.graph.groups[name].members if member.role == "rows"}
        order = np.argsort(by_hand(rule, each.checkpoint.weights[master]))
        assert kept.keep == tuple(sorted(order[-len(kept.keep) :].tolist()))
    assert len({trials.plan(other).keep[TRUNK] for other in planning.RULES}) > 1


def test_equal_shares_whoever_chooses(trials: Trials) -> None:
    each = CASES["basic"]

    def own(checkpoint: Checkpoint, graph: ChannelGraph):
        return uniform(graph, scores(graph, final_weights(checkpoint)), Limits())

    ours, theirs = make_plan(each.checkpoint, Target("macs", 0.6), own, graph=each.graph), trials.plan("basic")
    assert {name: len(kept.keep) for name, kept in ours.groups.items()} == {
        name: len(kept.keep) for name, kept in theirs.groups.items()
    }
    assert ours.keep != theirs.keep
    assert (ours.before, ours.after) == (theirs.before, theirs.after)


def test_the_master_alone_decides_there(trials: Trials) -> None:
    one, other = trials.seen["master_alone_decides"]
    assert one == other, "whatever the other members' weights are"
    each, plan = CASES["decoy"], trials.plan("decoy")
    removed = masked(each.checkpoint.weights, each.graph, {TRUNK: [2]})
    assert 2 in plan.keep[TRUNK], "a channel that nothing reads stays there, as its kernel is loud"
    own = scores(each.graph, each.checkpoint.weights, "l1", "flow")[TRUNK]
    assert own.argmin() == 2
    blind = Checkpoint(removed, {}, {}, each.checkpoint.spec, {}, {})
    assert difference(logits(blind), logits(each.checkpoint)) < 1e-6


def test_another_member_is_a_name_for_the_group_here_and_for_nothing_there(trials: Trials) -> None:
    assert trials.seen["another_member_is_named"] == {"masks": 0, "changed": False}
    each, keep = CASES["basic"], trials.plan("basic").keep
    counts = {name: len(units) for name, units in keep.items() if name != TRUNK}
    for member in ("stages.0.0.branch.1.conv.weight", "stages.0.0.branch.1.norm._mean", "stem.norm.bias"):
        asked = {**counts, member: len(keep[TRUNK])}
        assert planning.paddleslim_keep(each.checkpoint, each.graph, asked, "l1") == keep


def test_scores_are_those_of_the_weights_that_are_cut(trials: Trials) -> None:
    seen = trials.seen["scores_are_stale"]
    assert seen["fresh"] == [3, 4, 5]
    assert seen["stale"] != seen["fresh"], "there a pruner scores the weights it was made with for ever"
    plan = trials.plan("basic")
    trained = {name: array + np.float32(0.01) for name, array in CASES["basic"].checkpoint.weights.items()}
    with pytest.raises(RequestError, match="the plan was made from the weights"):
        cut(Checkpoint(trained, {}, {}, CASES["basic"].checkpoint.spec, {}, {}), plan)


def joined(x: paddle.Tensor) -> paddle.Tensor:
    return paddle.concat([x, x], axis=1)


def sliced(x: paddle.Tensor) -> paddle.Tensor:
    return x[:, 2:6]


OPERATORS: dict[str, tuple[str, Callable[[], nn.Layer], str]] = {
    "silu": ("no group", lambda: paddleslim_trials.Between(nn.Silu()), ""),
    "slice": ("no group", lambda: paddleslim_trials.Between(sliced, taken=4), ""),
    "concat": ("no group", lambda: paddleslim_trials.Between(joined, taken=16), ""),
    "grouped": ("not run: IndexError", lambda: paddleslim_trials.Between(nn.ReLU(), groups=2), ""),
    "prelu": ("no group", lambda: paddleslim_trials.Between(nn.PReLU(8)), "the operator 'prelu' is not understood"),
    "elu": ("no group", lambda: paddleslim_trials.Between(nn.ELU()), "the operator 'elu' is not understood"),
    "mish": ("no group", lambda: paddleslim_trials.Between(nn.Mish()), "the operator 'mish' is not understood"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_cut_or_frozen_with_the_reason(trials: Trials, name: str) -> None:
    there, build, reason = OPERATORS[name]
    assert trials.seen["operators"]["relu"] == "kept 4 of 8"
    assert trials.seen["operators"][name] == there
    graph = graph_of(build(), (3, 8, 8))
    if reason:
        assert reason in graph.frozen["first"].frozen
    else:
        tensors = [{member.tensor for member in group.members} for group in graph]
        assert any({"first.weight", "last.weight"} <= each for each in tensors)


@pytest.mark.parametrize(("there", "here"), [("se", "SE"), ("gelu", "GELU")])
def test_what_it_cannot_trace_it_can_in_our_form(trials: Trials, there: str, here: str) -> None:
    seen = "not traced: TypeError" if has_json() else "kept 4 of 8"  # Paddle 2.6 traces both
    assert trials.seen["operators"][there] == seen
    assert trials.plan(here).groups


def test_a_mean_over_pixels_is_followed_to_the_classifier(trials: Trials) -> None:
    (collection,) = trials.seen["mean_pooling"]
    assert ["head.weight", 0] not in collection["members"], "there the classifier is forgotten"
    network = paddleslim_trials.Between(nn.ReLU())
    network.pool = lambda x: x.mean([2, 3])
    group = graph_of(network, (3, 8, 8)).groups["last"]
    assert ("head.weight", 0) in {(member.tensor, member.axis) for member in group.members}


def test_the_velocity_is_cut_with_its_parameter(trials: Trials) -> None:
    seen = trials.seen["optimizer_state"]
    assert seen["velocity"][0] == 6
    assert seen["parameter"][0] == 3
    assert seen["error"] > 0.1, "there the next step takes the velocity of other channels, and says nothing"
    each, plan = CASES["basic"], trials.plan("basic")
    smaller = cut(each.checkpoint, plan, each.graph)
    for key, velocity in smaller.optimizer.items():
        assert velocity.shape == smaller.weights[key.rpartition("/")[0]].shape
    kept = list(plan.keep[TRUNK])
    found = smaller.optimizer[f"{TRUNK}.weight/velocity_0"]
    np.testing.assert_array_equal(found, each.checkpoint.optimizer[f"{TRUNK}.weight/velocity_0"][kept])


def test_the_file_shrinks_with_its_parameters(trials: Trials, tmp_path: Path) -> None:
    seen = trials.seen["size_of_state"]
    assert seen["backups"] == 9
    assert seen["state"] > seen["before"] > seen["parameters"], "there what was cut off is saved too"
    each = CASES["basic"]
    smaller = cut(each.checkpoint, trials.plan("basic"), each.graph)
    assert not [name for name in smaller.weights if "backup" in name]
    sizes = [
        (Store(tmp_path / name).save(one, 3) / "weights.safetensors").stat().st_size
        for name, one in (("whole", each.checkpoint), ("cut", smaller))
    ]
    lost = sum(each.checkpoint.weights[name].nbytes - array.nbytes for name, array in smaller.weights.items())
    assert lost > 0
    assert sizes[0] - sizes[1] == pytest.approx(lost, abs=200)


def test_a_target_is_met_or_refused(trials: Trials) -> None:
    assert abs(trials.seen["search_for_flops"] - 1 / 3) > 0.2, "there the search ends far from what was asked for"
    plan = trials.plan("depthwise")
    assert 0.45 < plan.after.macs / plan.before.macs <= 0.6
    each = CASES["basic"]
    with pytest.raises(RequestError, match="cannot be met: with every group at its least"):
        planning.paddleslim_plan(each.checkpoint, "l1", Target("macs", 0.001), graph=each.graph)


@pytest.mark.parametrize("rule", ["unstructured", "gmp", "repvgg", "taylor"])
def test_what_is_broken_there_is_not_offered(rule: Any) -> None:
    each = CASES["basic"]
    with pytest.raises(RequestError, match=f"PaddleSlim's rule '{rule}' is not offered; expected one of l1, l2, fpgm"):
        planning.paddleslim_plan(each.checkpoint, rule, Target("macs", 0.5), graph=each.graph)
    with pytest.raises(ConfigError, match=rf"importance\.score.*{rule}"):
        load_slim(ROOT / "configs/slim/digits_resnet20.yaml", ["engine=paddleslim", f"importance.score={rule}"])


def test_what_was_pruned_is_loaded_by_who_knows_of_no_pruner(trials: Trials) -> None:
    assert trials.seen["fresh_model"] == "as it was", "there the pruned tensors are passed over"
    each = CASES["basic"]
    plan = trials.plan("basic")
    smaller = cut(each.checkpoint, plan, each.graph)
    assert difference(logits(smaller), trials.answers["basic"].logits) < 1e-5
    again = plan_of(smaller, channel_graph(spec_of_checkpoint(smaller)), {TRUNK: (0,)})
    assert again.before == plan.after, "and it is pruned again"
