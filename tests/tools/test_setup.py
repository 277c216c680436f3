"""tools/setup.sh in a small tree, with a `uv` of our own in place of the network."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = (
    "pyproject.toml",
    "requirements.lock",
    "requirements-paddle26.lock",
    "requirements-lite.lock",
    "tools/setup.sh",
    "tools/test.sh",
)
# Writes its calls down; makes real environments without packages; "installs" an empty paddle.
FAKE_UV = """#!/bin/sh
echo "$*" >>"$FAKE/calls"
case "$1 $2" in
"venv "*)
    for folder; do :; done
    python=$(echo "$*" | sed 's/.*--python \\([^ ]*\\) .*/\\1/')
    exec "$python" -m venv --without-pip "$folder" ;;
"pip install")
    [ ! -e "$FAKE/hang" ] || sleep 60
    if [ -s "$FAKE/failures" ]; then sed -i 1d "$FAKE/failures"; exit 1; fi
    python=$(echo "$*" | sed 's/.*--python \\([^ ]*\\) .*/\\1/')
    site=$("$python" -c 'import site; print(site.getsitepackages()[0])')
    case "$*" in
    *--editable*) pwd >"$site/project.pth" ;;
    *)
        /bin/sleep 0.3
        echo >"$site/paddle.py"
        echo 'import sys; print(sys.prefix.rpartition("/")[2], *sys.argv[1:])' >"$site/pytest.py" ;;
    esac ;;
esac
"""


class Tree:
    """A copy of what setup.sh reads, in a folder with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.root, self.fake = folder / "a tree", folder / "fake"
        for name in FILES:
            self.root.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for package in ("ppresnet", "deploy"):
            self.root.joinpath(package).mkdir()
            self.root.joinpath(package, "__init__.py").touch()
        self.fake.mkdir()
        self._command("uv", FAKE_UV)
        self._command("sleep", '#!/bin/sh\necho "$1" >>"$FAKE/pauses"\n[ "$1" != 60 ] || exec /bin/sleep 60\n')

    def _command(self, name: str, text: str) -> None:
        self.fake.joinpath(name).write_text(text)
        self.fake.joinpath(name).chmod(0o755)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"PATH": f"{self.fake}:{os.environ['PATH']}", "FAKE": str(self.fake), "PPRESNET_PYTHON": sys.executable}
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PPRESNET_", "UV_", "PYTHON"))
        }
        return clean | own | dict(more)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "tools/setup.sh", *arguments],
            cwd=self.root,
            env=self.environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def test(self, *arguments: str) -> str:
        """Return what tools/test.sh printed to stdout."""
        command = ["bash", "tools/test.sh", *arguments]
        done = subprocess.run(command, cwd=self.root, env=self.environment({}), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def setup(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Return the exit code and what was said."""
        process = self.start(*arguments, **environment)
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    def installs(self) -> int:
        calls = self.fake / "calls"
        return calls.read_text().count("--no-deps --no-build --require-hashes") if calls.exists() else 0


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_makes_an_environment_and_then_nothing(tree: Tree) -> None:
    before = {path.name for path in tree.root.iterdir()}
    assert tree.setup()[0] == 0
    began = time.monotonic()
    code, said = tree.setup()
    assert (code, said) == (0, "setup: .venv is up to date\n")
    assert time.monotonic() - began < 2
    assert tree.installs() == 1
    assert {path.name for path in tree.root.iterdir()} == before | {".venv"}


def test_a_changed_lock_is_installed(tree: Tree) -> None:
    tree.setup()
    with tree.root.joinpath("requirements.lock").open("a") as lock:
        lock.write("# newer\n")
    assert tree.setup()[0] == 0
    assert tree.installs() == 2


def test_tries_three_times(tree: Tree) -> None:
    tree.fake.joinpath("failures").write_text("1\n2\n")
    assert tree.setup()[0] == 0
    assert tree.installs() == 3
    assert tree.fake.joinpath("pauses").read_text().split() == ["3", "10"]


def test_gives_up_and_goes_on_when_run_again(tree: Tree) -> None:
    tree.fake.joinpath("failures").write_text("1\n2\n3\n")
    code, said = tree.setup()
    assert code == 1
    assert "expected a reachable package index" in said
    assert tree.setup()[0] == 0


def test_a_killed_setup_is_completed(tree: Tree) -> None:
    hang = tree.fake / "hang"
    hang.touch()
    process = tree.start()
    deadline = time.monotonic() + 30
    while tree.installs() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not tree.root.joinpath(".venv/.setup.stamp").exists()
    hang.unlink()
    assert tree.setup()[0] == 0
    assert tree.root.joinpath(".venv/.setup.stamp").exists()


def test_a_broken_interpreter_is_replaced(tree: Tree) -> None:
    tree.setup()
    python = tree.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("nowhere")
    assert tree.setup()[0] == 0
    subprocess.run([python, "-c", "import paddle, ppresnet"], check=True)


def test_a_moved_tree_gets_a_new_environment(tree: Tree) -> None:
    tree.setup()
    tree.root = tree.root.rename(tree.root.with_name("elsewhere"))
    assert tree.setup()[0] == 0
    assert tree.installs() == 2
    (path,) = tree.root.glob(".venv/lib/*/site-packages/project.pth")
    assert path.read_text().strip() == str(tree.root)


def test_two_at_once_install_once(tree: Tree) -> None:
    both = [tree.start(), tree.start()]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert tree.installs() == 1


def test_the_other_paddle_has_its_own_environment(tree: Tree) -> None:
    assert tree.setup("--paddle", "2.6")[0] == 0
    assert not tree.root.joinpath(".venv").exists()
    assert "requirements-paddle26.lock" in tree.fake.joinpath("calls").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ".venv"),
        (["--slow", "-k", "a b"], ".venv --slow -k a b"),
        (["--paddle", "2.6", "-x"], ".venv-paddle26 -x"),
        (["--paddle=2.6"], ".venv-paddle26"),
        (["-x", "--paddle=3.3"], ".venv -x"),
    ],
)
def test_the_tests_run_in_the_environment_asked_for(tree: Tree, arguments: list[str], expected: str) -> None:
    assert tree.test(*arguments).strip() == expected


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--lit"], {}, "unknown option '--lit'"),
        (["--paddle"], {}, "--paddle is 3.3 or 2.6; found ''"),
        (["--paddle", "9"], {}, "--paddle is 3.3 or 2.6; found '9'"),
        ([], {"PPRESNET_INSTALLER": "conda"}, "PPRESNET_INSTALLER is uv or pip; found 'conda'"),
        ([], {"PPRESNET_PYTHON": "no-such-python"}, "expected CPython 3.10, 3.11 or 3.12; found: none"),
        (["--lite"], {"PPRESNET_LITE_PYTHON": sys.executable}, "expected CPython 3.7, the newest that paddlelite 2.12"),
        (
            ["--lite-only"],
            {"PPRESNET_LITE_PYTHON": sys.executable},
            "expected CPython 3.7, the newest that paddlelite 2.12",
        ),
    ],
)
def test_wrong_requests_end_with_2(
    tree: Tree, arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    code, said = tree.setup(*arguments, **environment)
    assert code == 2
    assert expected in said
    assert tree.installs() == 0


def test_what_is_found_is_named(tree: Tree) -> None:
    old = tree.fake / "python3.9"
    old.write_text("#!/bin/sh\n[ \"$1\" != -c ] || echo '3.9.18 (main)'\n")
    old.chmod(0o755)
    code, said = tree.setup(PPRESNET_PYTHON=str(old))
    assert code == 2
    assert f"found: {old} (3.9.18)" in said


def test_an_environment_of_others_is_not_emptied(tree: Tree) -> None:
    mine = tree.root / ".venv"
    mine.mkdir()
    mine.joinpath("pyvenv.cfg").write_text("home = elsewhere")
    mine.joinpath("letter").write_text("dear")
    code, said = tree.setup()
    assert (code, "did not make; move it away" in said) == (2, True)
    assert sorted(path.name for path in mine.iterdir()) == ["letter", "pyvenv.cfg"]


@pytest.mark.parametrize("kind", ["link", "files"])
def test_nothing_of_others_is_touched(tree: Tree, kind: str) -> None:
    mine = tree.root / "mine"
    mine.mkdir()
    mine.joinpath("letter").write_text("dear")
    if kind == "link":
        tree.root.joinpath(".venv").symlink_to(mine)
    else:
        mine.rename(tree.root / ".venv")
    assert tree.setup()[0] == 2
    assert tree.root.joinpath(".venv/letter").read_text() == "dear"
    assert len(list(tree.root.joinpath(".venv").iterdir())) == 1
