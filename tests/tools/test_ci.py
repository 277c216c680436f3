""".ci/run in a tree of stubs: a failure of any phase is a failure of the run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
STUB = '#!/bin/bash\necho "$0 $* CI=$CI shared=$PPRESNET_SHARED"\ncase "$0 $*" in *"$FAILS"*) exit 3 ;; esac\n'


def run(folder: Path, fails: str) -> tuple[int, str]:
    root = folder / "tree"
    for name in ("tools/setup.sh", "tools/setup_cross.sh", "tools/test.sh", ".venv/bin/ruff", ".venv/bin/mypy"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB)
        path.chmod(0o755)
    (root / ".ci").mkdir()
    shutil.copy(RUN, root / ".ci/run")
    if fails == "syntax":
        (root / "tools/broken.sh").write_text("if true; then\n")
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "PPRESNET_SHARED"}}
    done = subprocess.run(["bash", ".ci/run"], cwd=root, env=clean | {"FAILS": fails}, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_all_phases_pass(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    code, said = run(tmp_path, "nothing")
    assert code == 0
    assert said.count("passed") == 2 * 6
    assert f"CI=true shared={tmp_path}/shared" in said
    assert "--slow-sample 1 --slow-seed" in said


def test_without_the_shared_folder_nothing_is_named(tmp_path: Path) -> None:
    assert "shared=\n" in run(tmp_path, "nothing")[1]


def test_without_cross_compilers_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    code, said = run(tmp_path, "setup_cross.sh")
    assert code == 0
    assert any(line.startswith("cross ") and "NOT INSTALLED" in line for line in said.splitlines()[-8:])


@pytest.mark.parametrize("fails", ["setup.sh", "ruff check", "ruff format", "mypy", "test.sh", "syntax"])
def test_one_failure_fails_the_run(tmp_path: Path, fails: str) -> None:
    code, said = run(tmp_path, fails)
    assert code == 1
    assert said.count("FAILED (exit") == 2
    assert "tools/test.sh -n 2 --dist loadfile" in said  # the other phases run all the same
