"""However a command ends, that and the last it printed are known."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppresnet.processes import ending, exit_name, indented, module_command, run_to_end
from ppresnet.train.outcome import died

ROOT = Path(__file__).resolve().parents[1]


def command(program: str) -> list[str]:
    return [sys.executable, "-S", "-c", program]


def test_the_command_has_its_input_folder_and_environment(tmp_path: Path) -> None:
    program = "import os, sys; print(sys.stdin.read(), os.getcwd(), os.environ['WORD'], os.environ.get('HOME'))"
    ended = run_to_end(command(program), tmp_path, {"WORD": "here"}, 60, b"asked")
    assert ended == (0, [f"asked {tmp_path.resolve()} here None"])


def test_a_module_runs_as_with_m_but_takes_none_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('was run')")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "shown.py").write_text("import json, sys; print(__name__, sys.argv)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "given")}
    ended = run_to_end(module_command("shown", "a", "b c"), tmp_path, environment, 60)
    assert ended == (0, [f"__main__ {[str(tmp_path / 'given' / 'shown.py'), 'a', 'b c']}"])


def test_without_input_it_reads_an_end(tmp_path: Path) -> None:
    program = "import sys; sys.exit(3 if sys.stdin.read() == '' else 4)"
    assert run_to_end(command(program), tmp_path, os.environ, 60) == (3, [])


def test_the_last_lines_of_both_streams_are_kept(tmp_path: Path) -> None:
    program = "import os; [os.write(1 + n % 2, b'%d\\n' % n) for n in range(40)]; os.write(1, b'\\xff'); os.abort()"
    ended = run_to_end(command(program), tmp_path, os.environ, 60)
    assert ended == (-6, [*map(str, range(29, 40)), "\N{REPLACEMENT CHARACTER}"])


def test_a_hang_is_killed_and_what_it_said_kept(tmp_path: Path) -> None:
    program = "import os, time; os.write(1, b'%d' % os.getpid()); time.sleep(60)"
    ended = run_to_end(command(program), tmp_path, os.environ, 2)
    assert ended.code is None
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.lines[0]), 0)


def test_endings_and_lines_in_words() -> None:
    assert [exit_name(code) for code in (0, 3, -9)] == ["exit code 0", "exit code 3", "SIGKILL"]
    assert [ending(code) for code in (3, -6)] == ["ended with exit code 3", "was ended by SIGABRT"]
    assert (indented(["a", "b"]), indented([])) == ("  a\n  b", "  (none)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent ended")
def test_a_command_does_not_outlive_who_waits_for_it(tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        "import os, sys; from pathlib import Path; from ppresnet.processes import run_to_end; "
        f"run_to_end([sys.executable, '-S', '-c', {child!r}], Path('.'), os.environ, 60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT) as waiting:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert waiting.poll() is None
            time.sleep(0.01)
        waiting.kill()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while not died(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert died(pid)
