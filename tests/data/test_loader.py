"""The loader: the same batches whoever loads them, and no hang however a process ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import ppresnet
from ppresnet.config.schema import DataConfig
from ppresnet.data import Batch, Loader, Samples, batches, open_split, preprocess_of
from ppresnet.errors import DataError

Config = Callable[..., DataConfig]
PLAN = batches(9, 2, seed=3, epoch=1)
AUGMENT = [{"name": "random_crop", "padding": 2}, {"name": "random_flip"}]
ROOT = Path(ppresnet.__file__).parents[1]


@pytest.fixture
def samples(config: Config, pictures: Path) -> Samples:
    data = config(format="folder", root=pictures)
    return Samples(open_split(data, "train", in_channels=3, num_classes=3), preprocess_of(data, 3), AUGMENT, seed=5)


def same(one: Batch, other: Batch) -> bool:
    arrays = [(one.images, other.images), (one.labels, other.labels), (one.indices, other.indices)]
    return one.broken == other.broken and all(np.array_equal(mine, theirs) for mine, theirs in arrays)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ppresnet.data.worker" in child.cmdline()]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """Ends a test that hangs: SIGALRM interrupts a read that would wait for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError("the loader hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(180)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_workers_change_nothing(samples: Samples, pictures: Path, workers: int) -> None:
    (pictures / "train/dog/1.png").write_bytes(b"broken")
    with Loader(samples) as alone, Loader(samples, workers) as many:
        for epoch in (0, 1):
            expected, found = list(alone.run(epoch, PLAN)), list(many.run(epoch, PLAN))
            assert len(found) == len(PLAN) == 5
            assert all(same(one, other) for one, other in zip(expected, found, strict=True))
        assert sum(len(batch.broken) for batch in found) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_start_goes_on_in_mid_epoch(samples: Samples, workers: int) -> None:
    with Loader(samples, workers) as loader:
        whole = list(loader.run(4, PLAN))
        for start in (1, 4, 5):
            rest = list(loader.run(4, PLAN, start=start))
            assert len(rest) == 5 - start
            assert all(same(one, other) for one, other in zip(rest, whole[start:], strict=True))


def test_a_run_that_was_left_does_not_disturb_the_next(samples: Samples) -> None:
    with Loader(samples, 2) as loader:
        left = loader.run(0, PLAN)
        next(left)
        whole = list(loader.run(1, PLAN))
        assert [batch.indices.tolist() for batch in whole] == [indices.tolist() for indices in PLAN]
        with pytest.raises(RuntimeError, match="another one began"):
            next(left)


def test_one_pool_for_all_epochs_and_none_afterwards(samples: Samples) -> None:
    with Loader(samples, 2) as loader:
        before = [child.pid for child in children()]
        for epoch in range(3):
            list(loader.run(epoch, PLAN))
        assert [child.pid for child in children()] == before
        assert len(before) == 2
    assert children() == []


def test_workers_do_not_import_paddle(samples: Samples) -> None:
    with Loader(samples, 1) as loader:
        next(loader.run(0, PLAN))
        mapped = {Path(each.path).name for each in children()[0].memory_maps()}
        assert not [name for name in mapped if "paddle" in name or "libdnnl" in name]
        assert any("_multiarray_umath" in name for name in mapped)


def test_python_files_beside_the_images_are_not_run(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "contextlib", "ppresnet"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('was run')")
    monkeypatch.chdir(tmp_path)
    with Loader(samples, 1) as loader:
        assert len(list(loader.run(0, PLAN))) == 5


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_file_is_named(samples: Samples, pictures: Path, workers: int) -> None:
    (pictures / "train/cat/0.png").unlink()
    with Loader(samples, workers) as loader:
        with pytest.raises(DataError, match=r"'train/cat/0.png' cannot be read"):
            list(loader.run(0, PLAN))
        (pictures / "train/cat/0.png").write_bytes((pictures / "train/cat/1.png").read_bytes())
        assert len(list(loader.run(0, PLAN))) == 5


def test_a_fault_in_a_worker_arrives_with_its_traceback(samples: Samples) -> None:
    with Loader(samples, 1) as loader:
        with pytest.raises(RuntimeError, match="IndexError") as caught:
            list(loader.run(0, [np.array([99])]))
        assert "in a data worker" in str(caught.value.__cause__)
        assert "images.py" in str(caught.value.__cause__)


def test_killed_worker_is_an_error_that_says_so(samples: Samples) -> None:
    with Loader(samples, 2) as loader:
        run = loader.run(0, PLAN)
        next(run)
        for child in children():
            child.kill()
        with pytest.raises(DataError, match=r"data worker \d+ was killed by SIGKILL.*data.workers") as caught:
            list(run)
        assert ".png" in str(caught.value)
        with pytest.raises(DataError, match="SIGKILL"):
            list(loader.run(1, PLAN))


def test_signals_to_the_whole_group_are_the_parents(samples: Samples) -> None:
    with Loader(samples, 1) as loader:
        run = loader.run(0, PLAN)
        next(run)
        for number in (signal.SIGTERM, signal.SIGINT):
            children()[0].send_signal(number)
        assert len(list(run)) == 4


def test_workers_die_with_a_killed_parent(pictures: Path) -> None:
    script = (
        "import sys\n"
        "from ppresnet.config.schema import DataConfig\n"
        "from ppresnet.data import Loader, Samples, batches, open_split, preprocess_of\n"
        f"data = DataConfig(format='folder', root={str(pictures)!r}, mean=(0.5,) * 3, std=(0.5,) * 3, val='val')\n"
        "source = open_split(data, 'train', in_channels=3, num_classes=3)\n"
        "with Loader(Samples(source, preprocess_of(data, 3)), 2) as loader:\n"
        "    for batch in loader.run(0, batches(9, 1) * 1000):\n"
        "        print('batch', flush=True)\n"
        "        sys.stdin.readline()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "batch\n"
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 2
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))
