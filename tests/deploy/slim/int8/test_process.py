"""What a worker is started with; that it cannot tidy up when it is killed is no matter then."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.slim.int8 import process
from ppresnet.processes import Ended


def test_what_is_temporary_stands_beside_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def run_to_end(_: object, __: object, environment: Mapping[str, str], *___: object) -> Ended:
        seen.append(environment["TMPDIR"])
        return Ended(0, [])

    monkeypatch.setattr(process, "run_to_end", run_to_end)
    monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
    process.ask("onnx_worker", {"target": str(tmp_path / "work" / "int8.onnx")}, timeout=1)
    assert seen == [str(tmp_path / "work")]
