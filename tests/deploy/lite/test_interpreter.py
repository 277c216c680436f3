"""Finding the second interpreter, or saying exactly how to get one."""

from pathlib import Path

import pytest

from deploy.lite import interpreter
from ppresnet.errors import RequestError


def checkout(root: Path, script: str) -> Path:
    (root / "tools").mkdir()
    (root / "tools" / "setup.sh").write_text(script)
    return root


def venv(version: str) -> str:
    """A setup that makes an interpreter which answers every request with a version."""
    return f"""mkdir -p .venv-lite/bin
cat >.venv-lite/bin/python <<'TEXT'
#!/bin/sh
echo '{{"ok": {{"lite": "{version}"}}}}'
TEXT
chmod +x .venv-lite/bin/python
"""


def test_without_one_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    root = checkout(tmp_path, "echo 'expected CPython 3.7; found: none' >&2; exit 2")
    with pytest.raises(RequestError) as caught:
        interpreter.prepare(print, root)
    for part in (
        "pyenv install 3.7",
        "uv python install 3.7",
        "PPRESNET_LITE_PYTHON",
        "setup.sh --lite",
        "found: none",
    ):
        assert part in str(caught.value)
    assert "Everything but deploy/lite works without it" in str(caught.value)


def test_a_setup_that_ends_well_and_made_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no environment"):
        interpreter.prepare(print, checkout(tmp_path, "exit 0"))


def test_outside_a_checkout_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="checkout"):
        interpreter.prepare(print, tmp_path)


def test_it_is_set_up_at_the_first_conversion(tmp_path: Path) -> None:
    root = checkout(tmp_path, venv("v2.12") + "touch .venv-lite/.setup.stamp; echo $1 >asked")
    said: list[str] = []
    assert interpreter.prepare(said.append, root) == root / ".venv-lite" / "bin" / "python"
    assert (root / "asked").read_text() == "--lite-only\n"
    assert said
    (root / "tools" / "setup.sh").unlink()
    assert interpreter.prepare(said.append, root)


def test_an_unfinished_environment_is_not_used(tmp_path: Path) -> None:
    root = checkout(tmp_path, venv("v2.12"))
    with pytest.raises(RequestError, match="no environment"):
        interpreter.prepare(print, root)
    assert interpreter.find_interpreter(root) is None


def test_another_version_of_lite_is_refused(tmp_path: Path) -> None:
    root = checkout(tmp_path, venv("v2.13") + "touch .venv-lite/.setup.stamp")
    with pytest.raises(RequestError, match=r"v2\.13; expected v2\.12"):
        interpreter.prepare(print, root)
