"""What VisualDL's own reader finds in the file."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from visualdl import LogReader

from ppresnet.models import create
from ppresnet.train.monitors.histograms import Histograms
from ppresnet.train.monitors.visualdl import BUCKETS, VisualDl


def reader(folder: Path) -> LogReader:
    return LogReader(file_path=str(next(folder.glob("vdlrecords*"))))


def test_histograms_are_those_of_numpy_when_they_are_due(tmp_path: Path) -> None:
    model = create("cifar_resnet20")
    model(paddle.randn([2, model.spec.in_channels, 8, 8])).sum().backward()
    visualdl = VisualDl(tmp_path)
    histograms = Histograms(model, 2, visualdl)
    for step in range(1, 5):
        histograms.on_step(step)
    visualdl.close()
    found = reader(tmp_path)
    for kind, values in (("weights", model.head.fc.weight), ("gradients", model.head.fc.weight.grad)):
        records = found.get_data("histogram", f"{kind}/head.fc.weight")
        assert [record.id for record in records] == [2, 4]
        counts, edges = np.histogram(values.numpy(), BUCKETS)
        shown = records[0].histogram
        np.testing.assert_array_equal([int(bar[2]) for bar in bars(shown)], counts)
        np.testing.assert_allclose([bar[0] for bar in bars(shown)], edges[:-1], rtol=1e-5, atol=1e-7)


def bars(shown: object) -> list[tuple[float, float, float]]:
    return list(zip(shown.bin_edges[:-1], shown.bin_edges[1:], shown.hist, strict=True))  # type: ignore[attr-defined]


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    visualdl = VisualDl(tmp_path)
    visualdl.histogram("some", np.array([1.0, np.nan, 2.0, np.inf], np.float32), 1)
    visualdl.histogram("none", np.array([np.nan], np.float32), 1)
    visualdl.close()
    found = reader(tmp_path)
    assert found.get_tags()["histogram"] == ["some"]
    assert sum(found.get_data("histogram", "some")[0].histogram.hist) == 2


def test_numbers_are_scalars(tmp_path: Path) -> None:
    visualdl = VisualDl(tmp_path)
    visualdl.write("train", 7, {"loss": 0.5})
    visualdl.close()
    (record,) = reader(tmp_path).get_data("scalar", "train/loss")
    assert (record.id, record.value) == (7, pytest.approx(0.5))
