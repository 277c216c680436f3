"""Tests of the switch: what it replaces, what it leaves alone, and what it says."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.distributed.fleet.utils import recompute
from relative import difference, largest_difference

from ppresnet import onednn, paddle_api
from ppresnet.errors import RequestError
from ppresnet.layers import ConvNorm
from ppresnet.models import create
from ppresnet.onednn import api, switch
from ppresnet.onednn import library as c

STOCK = "training kernels: Paddle's own, since "


def network(seed: int = 5) -> nn.Layer:
    paddle.seed(seed)
    return create("cifar_resnet20", in_channels=3, input_size=16)


def images(seed: int = 0, count: int = 6) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal((count, 3, 16, 16)).astype("float32"))


def gradients(model: nn.Layer, forward: Callable[[paddle.Tensor], paddle.Tensor] | None = None) -> list[np.ndarray]:
    """Train one step on the way, without an optimizer."""
    result = (forward or model)(images())
    nn.functional.cross_entropy(result, paddle.arange(6) % 10).backward()
    found = [parameter.grad.numpy() for parameter in model.parameters() if not parameter.stop_gradient]
    for parameter in model.parameters():
        parameter.clear_gradient()
    return found


def losses(model: nn.Layer, steps: int) -> list[float]:
    optimizer = paddle.optimizer.Momentum(0.05, parameters=model.parameters())
    found = []
    for step in range(steps):
        loss = nn.functional.cross_entropy(model(images(step % 3)), paddle.arange(6) % 10)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        found.append(float(loss))
    return found


def count_calls(monkeypatch: pytest.MonkeyPatch, kernels: onednn.Kernels) -> list[str]:
    """Return a list to which every operation that oneDNN runs adds its name."""
    calls: list[str] = []
    for name in ("convolve", "normalise", "rectify", "run_unit"):
        own = getattr(kernels, name)

        def counted(*arguments: object, own: Callable = own, name: str = name) -> object:
            result = own(*arguments)
            calls.extend([name] if result is not None else [])
            return result

        monkeypatch.setattr(kernels, name, counted)
    return calls


def test_line_says_what_is_used(switch_back: None, library: c.Library) -> None:
    version = ".".join(map(str, library.version))
    assert onednn.enable() == f"training kernels: oneDNN {version}, float32, equal to Paddle's in a trial"
    assert ", bfloat16," in onednn.enable("enabled", "bfloat16")
    assert onednn.enable("disabled") == f"{STOCK}hardware.onednn is disabled"
    assert onednn.active() is None


def test_switching_back_leaves_nothing(library: c.Library) -> None:
    before = [layer.__dict__.get("forward") for layer in (nn.Conv2D, nn.BatchNorm2D, nn.ReLU, ConvNorm)]
    onednn.enable(units=[ConvNorm])
    onednn.enable(units=[ConvNorm])
    assert [layer.__dict__.get("forward") for layer in (nn.Conv2D, nn.BatchNorm2D, nn.ReLU, ConvNorm)] != before
    onednn.disable()
    onednn.disable()
    assert [layer.__dict__.get("forward") for layer in (nn.Conv2D, nn.BatchNorm2D, nn.ReLU, ConvNorm)] == before


def hide(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    monkeypatch.setattr(switch, "library_path", lambda: folder / "libdnnl.so.3")
    return "brings no libdnnl.so.3"


def damage(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    hide(monkeypatch, folder)
    (folder / "libdnnl.so.3").write_bytes(b"\x7fELF")
    return "no oneDNN that can be loaded"


def fake_version(monkeypatch: pytest.MonkeyPatch, _: Path) -> str:
    real = c.expect_version
    monkeypatch.setattr(c, "expect_version", lambda _: real((4, 0, 1)))
    return "expected oneDNN 3.2 or a later 3.x, found 4.0.1"


def lose_a_function(monkeypatch: pytest.MonkeyPatch, _: Path) -> str:
    monkeypatch.setitem(api.FUNCTIONS, "no_such_function", ())
    return "without the function dnnl_no_such_function"


def miscompute(monkeypatch: pytest.MonkeyPatch, _: Path) -> str:
    real = onednn.Kernels.convolve
    monkeypatch.setattr(onednn.Kernels, "convolve", lambda *arguments: real(*arguments) * 1.001)
    return "its convolution differs from Paddle's by 1.0e-03, where 1e-05 is allowed"


def lack(monkeypatch: pytest.MonkeyPatch, _: Path) -> str:
    monkeypatch.setattr(onednn.Kernels, "run_unit", lambda *_: None)
    return "no kernels for it on this CPU"


def on_gpu(monkeypatch: pytest.MonkeyPatch, _: Path) -> str:
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    return "the device is gpu:0"


@pytest.mark.parametrize("trouble", [hide, damage, fake_version, lose_a_function, miscompute, lack, on_gpu])
def test_trouble_leaves_paddles_kernels_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, switch_back: None, library: c.Library, trouble: Callable
) -> None:
    expected = losses(network(), 2)
    reason = trouble(monkeypatch, tmp_path)
    line = onednn.enable("auto", units=[ConvNorm])
    assert line.startswith(STOCK)
    assert reason in line
    assert "\n" not in line
    assert losses(network(), 2) == expected
    with pytest.raises(RequestError, match=r"hardware\.onednn is enabled, but .*; set it to auto or disabled"):
        onednn.enable("enabled", units=[ConvNorm])
    assert losses(network(), 2) == expected


def test_whole_network_trains_the_same(enabled: onednn.Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(monkeypatch, enabled)
    found = gradients(network()), losses(network(), 5)
    assert (calls.count("run_unit"), calls.count("rectify"), len(calls)) == (19 * 6, 9 * 6, 28 * 6)
    onednn.disable()
    expected = gradients(network()), losses(network(), 5)
    assert largest_difference(found[0], expected[0]) <= 1e-4
    assert found[1] == pytest.approx(expected[1], rel=1e-3)


def test_whole_network_of_fused_blocks_trains_the_same(fused: onednn.Kernels) -> None:
    found = gradients(network()), losses(network(), 5)
    onednn.disable()
    expected = gradients(network()), losses(network(), 5)
    assert largest_difference(found[0], expected[0]) <= 1e-4
    assert found[1] == pytest.approx(expected[1], rel=1e-3)


def test_same_bits_every_time(enabled: onednn.Kernels) -> None:
    assert losses(network(), 3) == losses(network(), 3)


def test_evaluation_is_paddles(enabled: onednn.Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    model(images())
    model.eval()
    calls = count_calls(monkeypatch, enabled)
    found = model(images()).numpy()
    assert calls == []
    onednn.disable()
    assert found.tobytes() == model(images()).numpy().tobytes()


def test_training_mode_without_gradients(enabled: onednn.Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    calls = count_calls(monkeypatch, enabled)
    with paddle.no_grad():
        result = model(images())
    assert len(calls) == 28
    assert result.stop_gradient
    assert result.numpy().tobytes() == network()(images()).numpy().tobytes()


def test_under_recompute(enabled: onednn.Kernels) -> None:
    model = network()
    expected = gradients(model)
    found = gradients(model, lambda x: model.head(recompute(model.stages, model.stem(x))))
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


def test_layer_used_twice(enabled: onednn.Kernels) -> None:
    paddle.seed(2)
    layer = ConvNorm(16, 16, 3, act="relu")
    found = []
    for _ in range(2):
        source = paddle.ones([2, 16, 6, 6]) * paddle.arange(6, dtype="float32")
        layer(layer(source)).sum().backward()
        (layer(source) * layer(source + 1)).sum().backward()
        found.append(layer.conv.weight.grad.numpy())
        layer.clear_gradients()
        onednn.disable()
    assert difference(*found) <= 1e-4


def test_graphs_outlive_the_switch(enabled: onednn.Kernels) -> None:
    model = network()
    expected = gradients(model)
    loss = nn.functional.cross_entropy(model(images()), paddle.arange(6) % 10)
    onednn.disable()
    loss.backward()
    assert expected[0].tobytes() == model.parameters()[0].grad.numpy().tobytes()


def test_threads_do_not_disturb_each_other(enabled: onednn.Kernels) -> None:
    paddle.seed(0)
    layers = [ConvNorm(16, 32, 3, act="relu") for _ in range(3)]
    expected = [layer(paddle.ones([4, 16, 9, 9])).numpy() for layer in layers]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):
            result = layers[number](paddle.ones([4, 16, 9, 9]))
            if not difference(result.numpy(), expected[number]) <= 1e-5:
                wrong.append(number)
            result.sum().backward()

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_gradients_of_gradients_are_refused(enabled: onednn.Kernels) -> None:
    layer = nn.Conv2D(4, 4, 3)
    source = paddle.rand([1, 4, 5, 5])
    source.stop_gradient = False
    with pytest.raises(Exception, match=r"no gradients of gradients; set hardware\.onednn: disabled"):
        paddle.grad(layer(source), source, create_graph=True)


@pytest.mark.parametrize("format", ["pdmodel", "json"])
@pytest.mark.parametrize("training", [False, True])
def test_exports_are_standard(enabled: onednn.Kernels, tmp_path: Path, format: str, training: bool) -> None:
    if format == "json" and not paddle_api.has_json():
        pytest.skip(f"Paddle {paddle.__version__} writes no .json programs")
    programs = []
    for name in ("ours", "stock"):
        model = network()
        model.train() if training else model.eval()
        spec = [paddle.static.InputSpec([None, 3, 16, 16], "float32", "image")]
        paddle_api.save_program(model, tmp_path / name, spec, format)
        programs.append((tmp_path / f"{name}.{format}").read_bytes())
        onednn.disable()
    assert b"py_layer" not in programs[0].lower()
    assert b"batch_norm" in programs[0]
    assert len(programs[0]) == pytest.approx(len(programs[1]), rel=0.01)


# Paddle 3.3.1, to_static in training
@pytest.mark.filterwarnings("ignore:Tensor do not have 'place' interface:UserWarning")
@pytest.mark.parametrize("full_graph", [True, False])
def test_to_static_sees_paddles_operators(enabled: onednn.Kernels, full_graph: bool) -> None:
    if not full_graph and not hasattr(paddle.jit, "marker"):
        pytest.skip(f"Paddle {paddle.__version__} cannot be told to leave a function alone in bytecode mode")
    expected = network()(images()).numpy()
    model = network()
    found = paddle.jit.to_static(model, full_graph=full_graph)(images())
    assert difference(found.numpy(), expected) <= 1e-4
    found.sum().backward()


def test_kernels_that_are_missing_are_told_of_once(enabled: onednn.Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def unimplemented(*_: object) -> None:
        raise onednn.OneDnnError("oneDNN: convolution failed: unimplemented", "unimplemented")

    monkeypatch.setattr("ppresnet.onednn.kernels.ConvolutionPlan", unimplemented)
    layer, source = nn.Conv2D(4, 4, 3), paddle.rand([1, 4, 5, 5])
    with pytest.warns(UserWarning, match="unimplemented; oneDNN does not run this at once: ConvolutionShape"):
        first = layer(source)
    assert first.numpy().tobytes() == layer(source).numpy().tobytes()
