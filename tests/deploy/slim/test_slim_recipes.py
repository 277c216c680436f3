"""Every slim recipe loads, says how to run it, and can be planned; a mistake in one is named with its place."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_specs import RANDOM, random_checkpoint

from deploy.slim import command, plan
from deploy.slim.allocation import Allocation, Limits
from deploy.slim.density import dense_first, densities
from deploy.slim.families import narrowed
from deploy.slim.grouping import channel_graph
from deploy.slim.groups import ChannelGraph
from deploy.slim.kept import Kept
from deploy.slim.path_norm import path_scores
from deploy.slim.planner import make_plan
from deploy.slim.recipe import gives_sums, load_slim
from deploy.slim.recipe_keys import SlimConfig
from deploy.slim.recipe_schema import FILE, schema_text, slim_schema
from deploy.slim.target import Target
from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import final_weights, spec_of_checkpoint
from ppresnet.config import RunConfig
from ppresnet.errors import ConfigError
from ppresnet.models import build
from ppresnet.spec import ModelSpec, spec_of

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RECIPES = sorted((CONFIGS / "slim").glob("*.yaml"))
HEADER = ("# command:  bash deploy/slim/slim.sh -c ", "# hardware: ", "# time:     ", "# expected: ", "# source:   ")
DIGITS = CONFIGS / "slim" / "digits_resnet20.yaml"


def test_the_recipes_are_there() -> None:
    cifar = {"cifar10_resnet20", "cifar10_resnet56"}
    imagenet = {
        f"imagenet_{name}" for name in ("resnet50", "seresnet50", "resnext50_32x4d", "densenet121", "lcnet_100")
    }
    assert {path.stem for path in RECIPES} == {"digits_resnet20", *cifar, *imagenet}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_says_how_to_run_it(path: Path) -> None:
    recipe = load_slim(path)
    assert recipe.config.name == f"slim_{path.stem}"
    assert recipe.config.output == f"runs/slim_{path.stem}"
    assert recipe.training.name == path.stem
    assert recipe.tuning.optim.lr < recipe.training.optim.lr
    assert recipe.tuning.train.epochs < recipe.training.train.epochs
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    for start in HEADER:
        assert any(line.startswith(start) for line in lines), start
    asked = next(line for line in lines if line.startswith(HEADER[0]))
    assert f"configs/slim/{path.name}" in asked
    assert ("data.root=" in asked) == (recipe.training.data.format != "digits")


QUICK = [pytest.param(path, marks=() if "imagenet" not in path.stem else pytest.mark.slow) for path in RECIPES]


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_a_recipe_can_be_planned(path: Path) -> None:
    recipe = load_slim(path)
    config, training = recipe.config, recipe.training
    size = min(training.data.input_size, 64)  # what is coupled does not depend on it
    checkpoint = random_checkpoint(spec_of(**training.model.model_dump(), input_size=size), np.random.default_rng(0))
    kind, share = config.target.chosen
    how = config.allocation
    assert (config.importance.score, how.name) == (command.USUAL_IMPORTANCE, command.USUAL_ALLOCATION)
    limits = Limits(config.round_to, how.minimum, how.scope, how.trunk_share, how.protect)
    kind = "macs" if kind == "latency" else kind  # which takes no measurements

    def allocator(current: Checkpoint, graph: ChannelGraph) -> Allocation:
        scored = {group.name: path_scores(group, final_weights(current)) for group in graph}
        return dense_first(graph, scored, limits, densities(spec_of_checkpoint(current), graph, limits, kind))

    made = make_plan(checkpoint, Target(kind, share), allocator)
    left = getattr(made.after, kind) / getattr(made.before, kind)
    assert share - 0.05 <= left <= share


def test_finetuning_is_the_base_with_overrides() -> None:
    recipe = load_slim(DIGITS, ["finetune.optim.lr=0.5", "data.workers=1", "seed=5"])
    base, tuned = recipe.training.model_dump(), recipe.tuning.model_dump()
    assert (tuned["optim"]["lr"], base["optim"]["lr"]) == (0.5, 0.1)
    assert base["data"]["workers"] == tuned["data"]["workers"] == 1
    assert base["seed"] == tuned["seed"] == 5
    changed = {section for section in base if base[section] != tuned[section]}
    assert changed == {"name", "output", "train", "optim"}


def test_the_base_is_found_from_the_recipe_and_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.yaml").write_text("name: net\n")
    (tmp_path / "slim").mkdir()
    (tmp_path / "slim" / "s.yaml").write_text("base: ../net.yaml\ntarget: {macs: 0.5}\n")
    assert load_slim(tmp_path / "slim" / "s.yaml").training.name == "net"
    monkeypatch.chdir(tmp_path)
    assert load_slim(Path("slim/s.yaml"), ["base=net.yaml"]).training.name == "net"
    with pytest.raises(ConfigError, match="cannot read"):
        load_slim(Path("slim/s.yaml"), ["base=nat.yaml"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tarjet.macs=0.3", "unknown key 'tarjet'; did you mean 'target'"),
        ("target.mac=0.3", "unknown key 'target.mac'; did you mean 'target.macs'"),
        ("target.params=0.5", "expected one of macs, params and latency, found macs and params"),
        ("target.macs=null", "found none"),
        ("target.macs=1.5", "'target.macs': expected a value below 1"),
        ("round_to=3", "'round_to': expected 1, 2, 4, 8, 16 or 32"),
        (
            "engine=paddleslim",
            "'importance.score': expected l1 or l2 or fpgm because engine is paddleslim, found path",
        ),
        ("importance.aggregate=mean", "expected flow because importance.score is path, found mean"),
        (
            "importance={score: obs, aggregate: max}",
            "'importance.aggregate': expected flow because importance.score is obs, found max",
        ),
        (
            "allocation={blocks: true, protect: [stem]}",
            "'allocation.protect': expected its default because allocation.blocks",
        ),
        (
            "allocation={name: global, trunk_share: 0.5}",
            "'allocation.trunk_share': expected 1.0 because allocation.name is global",
        ),
        ("allocation.blocks=1", "'allocation.blocks': expected"),
        ("quantize={methd: ptq}", "unknown key 'quantize.methd'; did you mean 'quantize.method'"),
        ("finetune.optim.lrr=1", "unknown key 'optim.lrr'; did you mean 'optim.lr'"),
        ("optim.lrr=1", "unknown key 'optim.lrr'; did you mean 'optim.lr'"),
        ("finetune.model.name=resnet18", "'finetune.model': the cut decides the network"),
        ("finetune.init_from=x", "'finetune.init_from': it starts from what the cut leaves"),
        ("finetune=3", "'finetune': expected a mapping, found 3"),
    ],
)
def test_a_mistake_is_named_with_its_place(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_slim(DIGITS, [override])
    assert len(found.value.problems) == 1
    assert message in str(found.value)
    assert f"-o {override}" in str(found.value)


@pytest.mark.parametrize("kept", ["allocation.scope=internal", "allocation.blocks=true"])
def test_maps_are_learned_from_where_stages_keep_their_widths(kept: str) -> None:
    with pytest.raises(ConfigError, match=r"'finetune\.distill\.maps': expected 0 because allocation\.scope is all"):
        load_slim(DIGITS, ["finetune.distill.maps=2"])
    assert load_slim(DIGITS, ["finetune.distill.maps=2", kept]).tuning.distill.maps == 2
    load_slim(DIGITS, ["finetune.distill={maps: 2, checkpoint: another}"])


@pytest.mark.parametrize("name", ["densenet121", "lcnet_100", "cifar_plain20"])
@pytest.mark.parametrize("scope", ["all", "internal"])
def test_maps_of_stages_that_always_lose_channels_are_refused(name: str, scope: str) -> None:
    asked = [f"model.name={name}", "finetune.distill.maps=2", f"allocation.scope={scope}"]
    with pytest.raises(ConfigError, match=rf"what the stages of {name} give") as found:
        load_slim(DIGITS, asked)
    assert "allocation.scope" not in str(found.value)


def test_maps_of_tokens_always_stay() -> None:
    model = "model.name=vit_tiny_patch16_224"
    assert load_slim(DIGITS, [model, "finetune.distill.maps=2"]).tuning.distill.maps == 2


SPECS = [
    *(spec_of(name, input_size=8) for name in ("cifar_resnet20", "cifar_plain20", "lcnet_025")),
    *(RANDOM[family](np.random.default_rng(0)) for family in ("preact", "densenet", "gated", "vit")),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.family} {spec.name}")
def test_a_cut_within_branches_leaves_the_maps_of_stages_that_give_sums(spec: ModelSpec) -> None:
    graph = channel_graph(spec)
    kept = Kept(graph, {group.name: range(group.units // 2) for group in graph if not group.trunk and group.units > 1})
    before, after = (build(each).pyramid for each in (spec, narrowed(spec, kept)))
    assert (before == after) == gives_sums(spec)


def test_paddleslim_drops_no_blocks() -> None:
    with pytest.raises(ConfigError, match=r"'allocation\.blocks': expected false because engine is paddleslim"):
        load_slim(DIGITS, ["engine=paddleslim", "importance.score=l1", "allocation.blocks=true"])


def test_blocks_are_not_rounded() -> None:
    with pytest.raises(ConfigError, match=r"'round_to': expected 1 because allocation\.blocks is true"):
        load_slim(DIGITS, ["allocation.blocks=true", "round_to=16"])


def test_base_and_target_are_required(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("name: s\n")
    with pytest.raises(ConfigError, match="'base': required and not given") as found:
        load_slim(tmp_path / "s.yaml")
    assert "'target': required" in str(found.value)


def test_commands_and_recipes_have_the_same_defaults() -> None:
    flags = plan.parse(["--checkpoint", "x", "--output", "y", "--macs", "0.5"])
    config = SlimConfig.model_validate({"base": "x", "target": {"macs": 0.5}})
    assert (config.importance.score, config.importance.aggregate) == (flags.importance, flags.aggregate)
    assert config.importance.images == flags.images
    groups = config.allocation
    assert (groups.name, groups.scope, groups.minimum) == (flags.allocation, flags.scope, flags.minimum)
    assert (groups.trunk_share, list(groups.protect)) == (flags.trunk_share, flags.protect)
    timing = config.latency
    assert (timing.backend, timing.precision, timing.batch, timing.rounds) == (
        flags.backend,
        flags.precision,
        flags.batch,
        flags.rounds,
    )
    assert (config.engine, config.round_to, groups.blocks) == (flags.engine, flags.round_to, flags.blocks)
    assert tuple(slim_schema()["$defs"]["ImportanceConfig"]["properties"]["score"]["enum"]) == command.METHODS


def test_the_schema_is_fresh_and_whole() -> None:
    assert FILE.read_text() == schema_text(), "write it again: python -m deploy.slim.recipe_schema"
    schema = json.loads(FILE.read_text())
    assert set(schema["properties"]) == {"_base_", *SlimConfig.model_fields}
    assert (FILE.parent / schema["properties"]["finetune"]["$ref"]).resolve() == (CONFIGS / "schema.json").resolve()


def test_what_the_base_alone_has_goes_to_the_base() -> None:
    shared = set(SlimConfig.model_fields) & set(RunConfig.model_fields)
    assert shared == {"name", "seed", "output", "checkpoint", "finetune"}


def test_what_the_cut_leaves_keeps_its_head(tmp_path: Path) -> None:
    base = f"_base_: {CONFIGS / 'digits' / 'resnet20.yaml'}\ninit_from: runs/other\nfinetune: {{new_head: true}}\n"
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "slim.yaml").write_text("base: base.yaml\ntarget: {macs: 0.5}\nfinetune: {train: {epochs: 2}}\n")
    recipe = load_slim(tmp_path / "slim.yaml")
    assert recipe.training.finetune.new_head is True
    assert recipe.tuning.finetune.new_head is False


def test_networks_for_several_labels_are_refused_before_the_first_step() -> None:
    with pytest.raises(ConfigError, match=r"expected one label an image, found data\.multi_label: true"):
        load_slim(DIGITS, ["data.multi_label=true", "train.loss=bce", "data.format=list", "data.root=images"])
