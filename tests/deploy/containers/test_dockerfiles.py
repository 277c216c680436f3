"""The Dockerfiles, read instruction by instruction: what a linter and a first build would find. No Docker here."""

import json
import re
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "containers"
NAMES = ("Dockerfile.cpu", "Dockerfile.gpu")
KNOWN = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}
SECRET = re.compile(r"(?i)password|passwd|token|secret|api_?key|credential|BEGIN [A-Z ]*PRIVATE KEY")


class Instruction(NamedTuple):
    word: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    """Split a Dockerfile, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def complaints(text: str, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a Dockerfile whose build context is `root`."""
    found = instructions(text)
    words = [one.word for one in found]
    wrong = [f"unknown instruction {word}" for word in words if word not in KNOWN]
    if words[:1] != ["FROM"] or words.count("FROM") != 1:
        wrong.append("expected one FROM, first")
    wrong += [
        f"FROM {one.rest} is not pinned"
        for one in found
        if one.word == "FROM" and not re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", one.rest)
    ]
    wrong += [f"COPY of {source}, which is not there" for source in sources(found) if not (root / source).exists()]
    users = [one.rest for one in found if one.word == "USER"]
    if not users or re.match(r"(0|root)\b", users[-1]):
        wrong.append("the last USER is root")
    elif not re.fullmatch(r"\d+:\d+", users[-1]):
        wrong.append("USER is a name, which Kubernetes cannot tell from root")
    wrong += [f"{one.word} holds a secret" for one in found if SECRET.search(one.rest)]
    wrong += [f"{one.word} is not in exec form" for one in found if _shell_form(one)]
    for one in found:
        if one.word == "RUN" and "pip install" in one.rest and "--no-cache-dir" not in one.rest:
            wrong.append("pip keeps its cache in the layer")
        if one.word == "RUN" and "pip install" in one.rest and "--require-hashes" not in one.rest:
            wrong.append("pip takes unlocked packages")
    install = next((n for n, one in enumerate(found) if "pip install" in one.rest), len(found))
    if any(one.word == "COPY" and one.rest.startswith("ppresnet") for one in found[:install]):
        wrong.append("a change of the code installs all packages again")
    return wrong


def sources(found: list[Instruction]) -> list[str]:
    return [source for one in found if one.word == "COPY" for source in shlex.split(one.rest)[:-1]]


def _shell_form(one: Instruction) -> bool:
    if one.word not in ("ENTRYPOINT", "CMD"):
        return False
    try:
        return not isinstance(json.loads(one.rest), list)
    except ValueError:
        return True


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong(name: str) -> None:
    assert complaints(text_of(name)) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("paddle:3.3.1", "paddle:latest", "FROM paddlepaddle/paddle:latest is not pinned"),
        ("paddle:3.3.1", "paddle", "FROM paddlepaddle/paddle is not pinned"),
        ("COPY tools tools", "COPY tolls tools", "COPY of tolls, which is not there"),
        ("USER 10001:10001", "USER 0:0", "the last USER is root"),
        ("USER 10001:10001\n", "", "the last USER is root"),
        ("USER 10001:10001", "USER trainer", "USER is a name, which Kubernetes cannot tell from root"),
        ("ENV PYTHONPATH", "ENV WANDB_API_KEY=1 PYTHONPATH", "ENV holds a secret"),
        ('CMD ["-h"]', "CMD -h", "CMD is not in exec form"),
        (" --no-cache-dir", "", "pip keeps its cache in the layer"),
        (" --require-hashes", "", "pip takes unlocked packages"),
        ("RUN groupadd", "COPY ppresnet ppresnet\nRUN groupadd", "a change of the code installs all packages again"),
        ("WORKDIR", "ADD x y\nWORKDIR", "unknown instruction ADD"),
    ],
)
def test_each_rule_catches(old: str, new: str, complaint: str) -> None:
    text = text_of("Dockerfile.cpu")
    assert old in text
    assert complaint in complaints(text.replace(old, new))


def test_the_two_differ_in_the_base_and_its_check_alone() -> None:
    cpu, gpu = (instructions(text_of(name)) for name in NAMES)
    different = [(ours, theirs) for ours, theirs in zip(cpu, gpu, strict=True) if ours != theirs]
    assert [ours.word for ours, _ in different] == ["FROM", "RUN"]
    assert different[0][1].rest.startswith(f"{different[0][0].rest}-gpu-cuda")
    assert "is_compiled_with_cuda" in different[1][1].rest


@pytest.mark.parametrize("name", NAMES)
def test_the_image_has_the_locked_paddle_and_all_other_packages_of_the_lock(name: str) -> None:
    found = instructions(text_of(name))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    version = re.search(r"^paddlepaddle==([\d.]+)", lock, re.MULTILINE)
    assert version is not None and re.search(rf":{re.escape(version[1])}(-|$)", found[0].rest)
    assert any(f"paddle.__version__ == '{version[1]}'" in one.rest for one in found)
    (command,) = re.findall(r"sed '([^']+)'", "".join(one.rest for one in found))
    kept = subprocess.run(["sed", command], input=lock, capture_output=True, text=True, check=True).stdout
    pins = re.compile(r"^[a-z0-9][\w.-]*==", re.MULTILINE)
    assert set(pins.findall(lock)) - set(pins.findall(kept)) == {"paddlepaddle=="}
    assert kept.count("--hash=") > 1000 and kept in lock.replace(lock[slice(*span(lock))], "")


def span(lock: str) -> tuple[int, int]:
    """Return where the lines of paddlepaddle begin and end in a lock."""
    block = re.search(r"^paddlepaddle==.*\n(?:    --hash=.*\n)+", lock, re.MULTILINE)
    assert block is not None
    return block.span()


@pytest.mark.parametrize("name", NAMES)
def test_the_command_and_the_folders_of_the_image_are_those_of_the_project(name: str) -> None:
    found = instructions(text_of(name))
    (command,) = (json.loads(one.rest) for one in found if one.word == "ENTRYPOINT")
    assert command == ["python3", "tools/train.py"]
    assert (ROOT / command[1]).is_file()
    (folder,) = (one.rest for one in found if one.word == "WORKDIR")
    assert any(one.word == "ENV" and f":{folder} " in f"{one.rest} " for one in found)
    assert {"ppresnet", "tools", "configs", "requirements.lock"} <= set(sources(found))


@pytest.mark.parametrize("name", NAMES)
def test_a_build_sees_what_it_copies_and_nothing_else(name: str) -> None:
    lines = text_of(f"{name}.dockerignore").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    seen = {rule[1:] for rule in rules if rule.startswith("!")}
    assert seen == set(sources(instructions(text_of(name))))
    assert any(fnmatch("ppresnet/train/__pycache__", rule) for rule in rules[1:])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_that_it_was_not_built_here_and_its_commands_are_real(name: str) -> None:
    head = text_of(name).split("FROM")[0]
    assert "Not built or run by this project's CI" in head
    assert f"-f deploy/containers/{name} " in head
    recipes = re.findall(r"-c (\S+\.yaml)", head)
    assert recipes and all((ROOT / recipe).is_file() for recipe in recipes)
