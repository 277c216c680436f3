"""Reads the imports of a source tree with `ast` and says where they go against the direction of the house."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A room may import from its own level and from those before it.
LEVELS = (
    {"errors", "files", "cli", "hardware", "processes"},
    {"spec", "pixels", "bundle", "config", "weights"},
    {"onednn", "paddle_api"},
    {"layers"},
    {"models"},
    {"data"},
    {"checkpoint"},
    {"train", "export"},
)
WITHOUT_PADDLE = LEVELS[0] | LEVELS[1] | {"data"}
IMPORTS_PADDLE = ("ppresnet", "hardware", "paddle_import")  # only when called: what starts Paddle in every command
_TARGET = {"errors", "files", "hardware", "bundle", "pixels", "cli"}
# Room of deploy -> rooms of ppresnet (None: all), rooms of deploy.
DEPLOY: dict[str, tuple[set[str] | None, set[str]]] = {
    "inference": (_TARGET | {"paddle_api"}, set()),
    "lite": (_TARGET, {"inference"}),
    "serving": (_TARGET, {"inference"}),
    "slim": (None, {"inference"}),
}
_LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


@dataclass(frozen=True)
class Import:
    """One imported module, as written in one line of a file; lazy ones inside functions count too."""

    file: Path
    line: int
    target: tuple[str, ...]

    @property
    def source(self) -> tuple[str, ...]:
        """The importing module: `ppresnet/files/lock.py` is (ppresnet, files, lock)."""
        parts = self.file.with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {'.'.join(self.target)}"


def imports(root: Path, packages: tuple[str, ...] = ("ppresnet", "deploy", "tools")) -> Iterator[Import]:
    """Yield every import of the packages under `root`, with relative ones and `import_module("...")` resolved."""
    for path in sources(root, packages):
        file = path.relative_to(root)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for target in _targets(node, file.parent.parts):
                yield Import(file, getattr(node, "lineno", 0), tuple(target.split(".")))


def sources(root: Path, packages: tuple[str, ...]) -> list[Path]:
    """Return the Python files of the packages under `root`, in order."""
    return sorted(path for package in packages for path in (root / package).rglob("*.py"))


def _targets(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        prefix = ".".join([*base, *([node.module] if node.module else [])])
        return [f"{prefix}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def wrong_turns(root: Path) -> list[str]:
    """Return a sentence for every import that goes against the direction of the house."""
    return [f"{one}: {reason}" for one in imports(root) if (reason := _objection(one))]


def _objection(one: Import) -> str | None:
    package, target = one.source[0], one.target
    if package == "ppresnet":
        return _objection_in_ppresnet(one)
    if package == "deploy":
        return _objection_in_deploy(one)
    if package == "tools" and target[0] == "tests":
        return "a tool never imports tests"
    return None


def _objection_in_ppresnet(one: Import) -> str | None:
    room, target = _room(one.source), one.target
    if target[0] in {"deploy", "tools", "tests"}:
        return f"ppresnet never imports {target[0]}"
    if target[0] == "paddle" and room in WITHOUT_PADDLE and one.source != IMPORTS_PADDLE:
        return f"{room} works without paddle"
    if target[0] != "ppresnet":
        return None
    other = _room(target)
    if other not in _LEVEL_OF:
        return None if other == "" or other.startswith("__") else f"the room {other} has no place in the order"
    if room == "":
        return "ppresnet/__init__.py imports nothing, so that a server can import one room alone"
    if room not in _LEVEL_OF:
        return f"the room {room} has no place in the order"
    if room in WITHOUT_PADDLE and other not in WITHOUT_PADDLE:
        return f"{room} works without paddle and {other} does not"
    return None if _LEVEL_OF[other] <= _LEVEL_OF[room] else f"{other} comes after {room}"


def _objection_in_deploy(one: Import) -> str | None:
    room, target = _room(one.source), one.target
    other = _room(target)
    if target[0] in {"tools", "tests"}:
        return f"deploy never imports {target[0]}"
    if target[0] not in {"ppresnet", "deploy"} or other == "":
        return None
    if room not in DEPLOY:
        return f"the room {room or 'deploy/__init__.py'} has no place in deploy"
    if room == "lite" and one.source[-1] == "worker":
        return "the worker runs on Python 3.7 and imports nothing of ours"
    library, neighbours = DEPLOY[room]
    if target[0] == "deploy":
        return None if other == room or other in neighbours else f"deploy.{room} never imports deploy.{other}"
    if library is None or other in library or other.startswith("__"):
        return None
    return f"deploy.{room} imports from ppresnet only {', '.join(sorted(library))}"


def _room(module: tuple[str, ...]) -> str:
    return module[1] if len(module) > 1 else ""


def circles(root: Path) -> list[str]:
    """Return the pairs of rooms of ppresnet that import each other."""
    pairs = {
        (_room(one.source), _room(one.target))
        for one in imports(root, ("ppresnet",))
        if one.target[0] == "ppresnet" and _room(one.target) in _LEVEL_OF
    }
    return sorted(f"{a} and {b} import each other" for a, b in pairs if a < b and (b, a) in pairs)
