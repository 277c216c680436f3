"""Metrics as Prometheus's own parser reads them, and a file that is whole at any time."""

import errno
import os
import stat
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ppresnet.errors import StorageError
from ppresnet.files import durable
from ppresnet.train.monitors.prometheus import Endpoint, Gauges, Textfile


def parsed(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("part", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_latest_value_of_each_number_is_told() -> None:
    gauges, before = Gauges("a run"), time.time()
    gauges.write("train", 1, {"loss": 2.0})
    gauges.write("train", 4, {"loss": 1.5, "top1": 40.0})
    gauges.write("gradient_norm", 4, {"stages.0": 3.0, "all": 5.0})
    text = generate_latest(gauges.registry).decode()
    found = parsed(text)
    assert found.pop(("ppresnet_run_updated_timestamp_seconds", "")) >= before
    assert found == {
        ("ppresnet_train_loss", ""): 1.5,
        ("ppresnet_train_top1", ""): 40.0,
        ("ppresnet_gradient_norm", "stages.0"): 3.0,
        ("ppresnet_gradient_norm", "all"): 5.0,
        ("ppresnet_run_step", ""): 4.0,
        ("ppresnet_run_active", ""): 1.0,
    }
    assert "# HELP ppresnet_train_top1 Training top-1 since the line before, percent" in text
    assert text.count('run="a run"') == 7
    gauges.end()
    assert parsed(generate_latest(gauges.registry).decode())["ppresnet_run_active", ""] == 0.0


def test_a_full_disk_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "collector" / "run.prom"
    textfile = Textfile("x", path)
    textfile.write("train", 1, {"loss": 2.0})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "write", full)
        with pytest.raises(StorageError, match="ENOSPC"):
            textfile.write("train", 2, {"loss": 1.0})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["run.prom"]
    textfile.write("train", 3, {"loss": 0.5})
    assert parsed(path.read_text())["ppresnet_train_loss", ""] == 0.5


def full(descriptor: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_reader_never_finds_half_a_file_and_may_be_another_user(tmp_path: Path) -> None:
    path, wrong, done = tmp_path / "run.prom", list[str](), threading.Event()
    textfile = Textfile("x", path)
    textfile.write("train", 0, {"loss": 0.0})

    def read() -> None:
        while not done.is_set():
            text = path.read_text()
            if not text.endswith("\n") or "ppresnet_run_step{" not in text:
                wrong.append(text)

    thread = threading.Thread(target=read)
    thread.start()
    for step in range(50):
        textfile.write("gradient_norm", step, {f"stages.{part}": 1.0 for part in range(step)})
    done.set()
    thread.join()
    assert wrong == []
    assert path.stat().st_mode & stat.S_IROTH


def test_the_endpoint_listens_where_it_was_told_to() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        Endpoint("x", "203.0.113.1", 9)  # an address of no machine (RFC 5737)
    endpoint = Endpoint("x", "127.0.0.1", 0)
    host, port = endpoint._server.server_address[:2]
    endpoint.write("eval", 9, {"top5": 99.0})
    with urllib.request.urlopen(f"http://{host}:{port}/metrics") as answer:
        assert parsed(answer.read().decode())["ppresnet_eval_top5", ""] == 99.0
    endpoint.close()
    assert host == "127.0.0.1" and not endpoint._thread.is_alive()
