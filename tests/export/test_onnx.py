import re
from collections import Counter
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppresnet.bundle import JSON, ONNX, PDMODEL
from ppresnet.errors import PpresnetError
from ppresnet.export import onnx as module
from ppresnet.export.freeze import freeze
from ppresnet.export.onnx import can_convert, convert

pytestmark = pytest.mark.skipif(not can_convert(), reason="paddle2onnx is not installed")


@pytest.fixture(scope="module")
def converted(model: paddle.nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    freeze(model, folder, (1, 8, 8), ["json", "pdmodel"])
    assert convert(folder) == JSON
    return folder


@pytest.fixture
def frozen(converted: Path, tmp_path: Path) -> Path:
    for path in converted.iterdir():
        if path.name != ONNX:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_opset_batch_and_operators(converted: Path) -> None:
    import onnx

    proto = onnx.load(converted / ONNX)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17)]
    for port in (proto.graph.input[0], proto.graph.output[0]):
        assert port.type.tensor_type.shape.dim[0].dim_param
    counts = Counter(node.op_type for node in proto.graph.node)
    # stem, 2 + 2 + 3 convolutions of the branches, one projection; the zero_pad skip is exported as one too.
    # paddle2onnx 2.1.0 leaves the value of a pad3d unset (0 on some days, 1e31 on others), so there must be none.
    assert (counts["Conv"], counts["BatchNormalization"], counts["Pad"]) == (10, 10, 0)


def test_answers_as_the_network_at_any_batch(model: paddle.nn.Layer, converted: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(converted / ONNX), providers=["CPUExecutionProvider"])
    for batch in (1, 3, 5):
        images = np.random.default_rng(batch).normal(size=(batch, 1, 8, 8)).astype(np.float32)
        with paddle.no_grad():
            expected = model(paddle.to_tensor(images)).numpy()
        found = session.run(None, {session.get_inputs()[0].name: images})[0]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_falls_back_to_the_pdmodel(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = 'import sys\nif sys.argv[1].endswith(".json"):\n    sys.exit("no mapper for linear")\n'
    monkeypatch.setattr(module, "_SCRIPT", refusing + module._SCRIPT)
    assert convert(frozen) == PDMODEL
    assert (frozen / ONNX).is_file()


def test_an_abort_becomes_an_error_with_the_last_output(frozen: Path) -> None:
    # paddle2onnx 2.1.0 aborts the process for opset 22.
    with pytest.raises(PpresnetError) as caught:
        convert(frozen, opset=22)
    message = str(caught.value)
    assert re.search(r"from inference\.json: paddle2onnx (was ended by SIG|ended with exit code)", message)
    assert "from inference.pdmodel: " in message
    assert "last output:\n  " in message
    assert not (frozen / ONNX).exists()


def test_a_hang_becomes_an_error(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCRIPT", "import time\nprint('thinking', flush=True)\ntime.sleep(60)")
    with pytest.raises(PpresnetError, match=r"no result after 1 s; its last output:\n  thinking"):
        convert(frozen, timeout=1)


def test_nothing_is_installed_on_the_way(
    frozen: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of paddle2onnx 2.1.0 is to let polygraphy run pip."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "polygraphy.py").write_text(f"open({str(folder / 'imported')!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    convert(frozen)
    assert not (folder / "imported").exists()
