"""The rules of the house, held by walking its source; each rule is also shown to catch an offender."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import house_walk
import pytest

import ppresnet

ROOT = Path(ppresnet.__file__).parents[1]
PACKAGES = ("ppresnet", "deploy", "tools")
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
FORBIDDEN_CALLS = {"eval", "exec", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "paddle.load"}
FORBIDDEN_NAMES = {"utils", "util", "common", "engine", "helper", "helpers", "misc"}
PLACES = re.compile(r"(?<![\w./~-])/(?:work|root|home)/\w")


def tree(root: Path, **files: str) -> Path:
    """Write `ppresnet__data__x="..."` as ppresnet/data/x.py; a last `__` stands for `__init__.py`."""
    for name, text in files.items():
        *folders, last = name.split("__")
        path = root.joinpath(*folders, f"{last or '__init__'}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def forbidden(root: Path) -> list[str]:
    found = [str(one) for one in house_walk.imports(root) if one.target[0] in FORBIDDEN_MODULES]
    for path in house_walk.sources(root, PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in FORBIDDEN_CALLS:
                found.append(f"{path.relative_to(root)}:{node.lineno} calls {name}")
            if isinstance(node, ast.keyword) and ast.unparse(node) == "allow_pickle=True":
                found.append(f"{path.relative_to(root)}:{node.value.lineno} allows pickle")
    return found


def public(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def undescribed(root: Path) -> list[str]:
    found = []
    for path in house_walk.sources(root, PACKAGES):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for node in public(module):
            place = f"{path.relative_to(root)}:{node.lineno} {node.name}"
            if ast.get_docstring(node) is None:
                found.append(f"{place} has no docstring")
            if not isinstance(node, ast.ClassDef) and node.returns is None:
                found.append(f"{place} has no return type")
    return found


def tracked(root: Path) -> list[Path]:
    """What git has, or would take; without git, what is not in a dotted folder."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()]
    return [path for path in root.rglob("*") if path.is_file() and not path.relative_to(root).parts[0].startswith(".")]


def places(paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if PLACES.search(line)]
    return found


def test_imports_go_one_way() -> None:
    assert house_walk.wrong_turns(ROOT) == []


def test_no_two_rooms_import_each_other() -> None:
    assert house_walk.circles(ROOT) == []


def test_walker_reads_this_tree() -> None:
    seen = {one.source[:2] for one in house_walk.imports(ROOT)}
    assert {("ppresnet", "config"), ("ppresnet", "train"), ("tools", "train")} <= seen


@pytest.mark.parametrize(
    ("module", "text", "reason"),
    [
        ("ppresnet__layers__conv", "from ppresnet.models import create", "models comes after layers"),
        ("ppresnet__layers__conv", "from ppresnet import train", "train comes after layers"),
        ("ppresnet__layers__conv", "from ..models import create", "models comes after layers"),
        ("ppresnet__layers__conv", "import ppresnet.models.create as c", "models comes after layers"),
        ("ppresnet__layers__conv", "from ppresnet.extras import x", "extras has no place"),
        ("ppresnet__extras", "from ppresnet import errors", "extras has no place"),
        ("ppresnet__errors", "from ppresnet.spec import MODELS", "spec comes after errors"),
        ("ppresnet__", "from ppresnet import errors", "imports nothing"),
        ("ppresnet__train__run", "def f():\n    import deploy.inference", "never imports deploy"),
        ("ppresnet__export__freeze", "from tools import train", "never imports tools"),
        ("ppresnet__data__loader", "def f():\n    import paddle.io", "data works without paddle"),
        ("ppresnet__hardware__cpu", "def f():\n    import paddle", "hardware works without paddle"),
        (
            "ppresnet__config",
            "from importlib import import_module\nimport_module('paddle')",
            "config works without paddle",
        ),
        ("ppresnet__data__loader", "from ppresnet.layers import Conv", "data works without paddle and layers does not"),
        ("deploy__serving__app", "from ppresnet.config import load", "only bundle"),
        ("deploy__serving__app", "from ppresnet import models", "only bundle"),
        ("deploy__serving__app", "from deploy.slim import plan", "never imports deploy.slim"),
        ("deploy__inference__audit", "from deploy.lite import convert", "never imports deploy.lite"),
        ("deploy__lite__worker", "from ppresnet.errors import BundleError", "Python 3.7"),
        ("deploy__slim__cut", "from tools import train", "never imports tools"),
        ("deploy__extra__x", "from ppresnet.errors import BundleError", "no place in deploy"),
    ],
)
def test_walker_catches(tmp_path: Path, module: str, text: str, reason: str) -> None:
    (found,) = house_walk.wrong_turns(tree(tmp_path, **{module: text}))
    assert reason in found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            "ppresnet__models__resnet",
            "import paddle\nfrom ppresnet.layers import Conv\nfrom ppresnet import __version__, spec",
        ),
        ("ppresnet__data__loader", "from ppresnet.files import open_zip\nfrom . import order\nimport paddlefish"),
        ("ppresnet__train__run", "from ppresnet.export import freeze"),
        ("ppresnet__hardware__paddle_import", "def f():\n    import_module('paddle')"),
        (
            "deploy__serving__app",
            "from deploy.inference import Predictor\nfrom ppresnet.pixels import decode\nfrom . import web",
        ),
        ("deploy__slim__cut", "from ppresnet.train import run\nfrom deploy.inference import Predictor"),
        ("tools__export", "import paddle\nfrom deploy.inference import Predictor\nfrom ppresnet.export import freeze"),
    ],
)
def test_walker_lets_pass(tmp_path: Path, module: str, text: str) -> None:
    assert house_walk.wrong_turns(tree(tmp_path, **{module: text})) == []


def test_circles_are_caught(tmp_path: Path) -> None:
    files = {"ppresnet__pixels": "from ppresnet import bundle", "ppresnet__bundle__read": "import ppresnet.pixels"}
    assert house_walk.circles(tree(tmp_path, **files)) == ["bundle and pixels import each other"]


def test_foreign_files_are_data() -> None:
    assert forbidden(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def f():\n    from torch import nn",
        "eval('1')",
        "exec('1')",
        "import yaml\nyaml.load('', Loader=yaml.Loader)",
        "import paddle\npaddle.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_code_in_foreign_files_is_caught(tmp_path: Path, text: str) -> None:
    assert len(forbidden(tree(tmp_path, ppresnet__data__x=text))) == 1


def test_evaluation_mode_is_not_eval(tmp_path: Path) -> None:
    assert forbidden(tree(tmp_path, ppresnet__train__x="model.eval()\nyaml.safe_load('')")) == []


def test_public_names_are_described_and_typed() -> None:
    assert undescribed(ROOT) == []


def test_undescribed_names_are_caught(tmp_path: Path) -> None:
    text = (
        'class A:\n    """Is one."""\n    def f(self) -> int: ...\n    def _g(self): ...\ndef h():\n    """Does."""\n'
    )
    found = undescribed(tree(tmp_path, ppresnet__x=text))
    assert [line.split(" ", 1)[1] for line in found] == ["f has no docstring", "h has no return type"]


def test_no_module_is_named_for_nothing() -> None:
    paths = [path.relative_to(ROOT) for path in house_walk.sources(ROOT, PACKAGES)]
    assert [str(path) for path in paths if FORBIDDEN_NAMES & set(path.with_suffix("").parts)] == []


def test_changelog_knows_the_version() -> None:
    heading = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == ppresnet.__version__


def test_no_file_names_a_place_on_one_machine() -> None:
    assert places(tracked(ROOT)) == []


def test_places_are_caught(tmp_path: Path) -> None:
    lines = ["cd /" + "work/main", "see a/" + "work/b and ~/" + "root/x", "'/" + "home/me'", "WORKDIR /" + "root/"]
    (tmp_path / "x.md").write_text("\n".join(lines))
    assert [line.split(":")[1] for line in places([tmp_path / "x.md"])] == ["1", "3"]
