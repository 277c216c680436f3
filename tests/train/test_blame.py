"""Which process is to blame, told from what a launch leaves behind."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ppresnet.errors import ProcessError
from ppresnet.train.blame import judge
from ppresnet.train.outcome import Outcome

LOST = Outcome(0, 1, "unexpected RuntimeError in process 0: connection reset by peer", 2, unexpected=True)
STOPPED = Outcome(1, 1, "stopped by SIGTERM after step 3", 3, unexpected=False)


def left(folder: Path, *outcomes: Outcome, launcher: str = "") -> Path:
    """Lay what a launch of two processes leaves behind."""
    for outcome in outcomes:
        (folder / f"{outcome.rank}.outcome").write_text(json.dumps(asdict(outcome)))
    (folder / "launcher.log").write_text(launcher)
    return folder


def failed(rank: int, code: int) -> str:
    """Return the line that Paddle's launcher writes about a container."""
    return f"ERROR Container failed !!!\nContainer rank {rank} status failed cmd ['python'] code {code} log x\n"


def test_two_results_are_no_failure(tmp_path: Path) -> None:
    judge(left(tmp_path, *(Outcome(rank, 0, "", rank, unexpected=False) for rank in (0, 1))), 0, 2, None)


@pytest.mark.parametrize(
    ("outcomes", "launcher", "message"),
    [
        ((LOST,), failed(1, -9), "process 1 was killed by SIGKILL; if memory ran out"),
        ((LOST,), failed(0, 1), "reset by peer; process 1 ended without a result, as one does that was killed: if mem"),
        ((LOST, STOPPED), failed(0, 1), "unexpected RuntimeError in process 0: connection reset by peer"),
        ((STOPPED,), failed(0, 1), "stopped by SIGTERM after step 3"),
    ],
    ids=["the launcher saw the killed one", "the launcher saw the other one", "an error of ours", "a stop"],
)
def test_the_first_failure_is_told(outcomes: tuple[Outcome, ...], launcher: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ProcessError) as caught:
        judge(left(tmp_path, *outcomes, launcher=launcher), 1, 2, None)
    assert message in str(caught.value)
    assert ("ended without" in str(caught.value)) == ("ended without" in message)
