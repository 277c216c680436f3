"""FPN and PAN against their formulas, pixel by pixel in float64, and their programs."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from bundles import FORMATS
from paddle import nn
from relative import difference, largest_difference

from ppresnet import paddle_api
from ppresnet.errors import ConfigError
from ppresnet.layers import Level
from ppresnet.models import create
from ppresnet.models.necks import FPN, PAN

PYRAMID = (Level(3, 4), Level(5, 8), Level(2, 16))
SIZES = {"even": ((8, 12), (4, 6), (2, 3)), "odd": ((7, 9), (4, 5), (2, 3)), "rounded down": ((7, 9), (3, 4), (1, 2))}


def convolved(x: np.ndarray, layer: nn.Conv2D) -> np.ndarray:
    """Return the convolution of [channels, height, width], one output pixel after the other."""
    weights, bias = layer.weight.numpy().astype(np.float64), layer.bias.numpy().astype(np.float64)
    (stride, _), kernel = layer._stride, weights.shape[2]
    padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    height, width = ((side - 1) // stride + 1 for side in x.shape[1:])
    out = np.empty((len(bias), height, width))
    for row in range(height):
        for column in range(width):
            window = padded[:, row * stride : row * stride + kernel, column * stride : column * stride + kernel]
            out[:, row, column] = (weights * window).sum((1, 2, 3)) + bias
    return out


def enlarged(x: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = [row * x.shape[1] // height for row in range(height)]
    columns = [column * x.shape[2] // width for column in range(width)]
    return x[:, rows][:, :, columns]


def fpn(neck: FPN, maps: list[np.ndarray]) -> list[np.ndarray]:
    """Figure 3 of arXiv:1612.03144."""
    sums = [convolved(x, lateral) for x, lateral in zip(maps, neck.lateral, strict=True)]
    for index in (1, 0):
        sums[index] += enlarged(sums[index + 1], *sums[index].shape[1:])
    return [convolved(x, smooth) for x, smooth in zip(sums, neck.smooth, strict=True)]


def pan(neck: PAN, maps: list[np.ndarray]) -> list[np.ndarray]:
    """Figure 2 of arXiv:1803.01534."""
    first, *others = fpn(neck.top_down, maps)
    found = [first]
    for down, fuse, x in zip(neck.down, neck.fuse, others, strict=True):
        _, height, width = x.shape
        reached = np.maximum(convolved(found[-1], down), 0)[:, :height, :width]
        found.append(np.maximum(convolved(x + reached, fuse), 0))
    return found


def random_maps(sizes: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [random.standard_normal((2, level.channels, *size)) for level, size in zip(PYRAMID, sizes, strict=True)]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(("kind", "formula"), [(FPN, fpn), (PAN, pan)])
def test_equals_the_formula(kind: type, formula: object, sizes: tuple[tuple[int, int], ...]) -> None:
    paddle.seed(0)
    neck = kind(PYRAMID, width=4, extra=2)
    for layer in neck.sublayers():
        if isinstance(layer, nn.Conv2D):
            layer.bias.set_value(paddle.randn(layer.bias.shape))
    maps = random_maps(sizes)
    found = neck([paddle.to_tensor(x.astype(np.float32)) for x in maps])
    assert neck.pyramid == (Level(4, 4), Level(4, 8), Level(4, 16), Level(4, 32), Level(4, 64))
    assert len(found) == 5
    for image in (0, 1):
        expected = formula(neck, [x[image] for x in maps])
        expected += [expected[-1][:, ::2, ::2], expected[-1][:, ::4, ::4]]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.shape[1:] == list(theirs.shape)
            assert difference(ours[image].numpy(), theirs) <= 1e-5


class Detector(nn.Layer):
    """A backbone, of which the neck takes all levels but the finest."""

    def __init__(self, neck: type) -> None:
        super().__init__()
        self.backbone = create("resnet18")
        self.neck = neck(self.backbone.pyramid[1:], width=8, extra=1)

    def forward(self, image_NCHW: paddle.Tensor) -> tuple[paddle.Tensor, ...]:
        return self.neck(self.backbone.features(image_NCHW)[1:])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("neck", [FPN, PAN])
def test_program_answers_as_the_layer_for_images_of_any_size(neck: type, format: str, tmp_path: Path) -> None:
    paddle.seed(0)
    net = Detector(neck)
    net.eval()
    spec = paddle.static.InputSpec([None, 3, None, None], "float32", "image")
    paddle_api.save_program(net, tmp_path / "net", [spec], format)
    config = paddle.inference.Config(str(tmp_path / f"net.{format}"), str(tmp_path / "net.pdiparams"))
    paddle_api.set_onednn(config, enabled=False)
    if format == "json":
        config.enable_new_ir()
        config.enable_new_executor()
    config.disable_glog_info()
    predictor = paddle.inference.create_predictor(config)
    for height, width in ((64, 96), (61, 70)):
        images = np.random.default_rng(1).standard_normal((2, 3, height, width)).astype(np.float32)
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images)
        predictor.run()
        found = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
        with paddle.no_grad():
            expected = [tensor.numpy() for tensor in net(paddle.to_tensor(images))]
        assert [x.shape for x in found] == [x.shape for x in expected]
        for level, x in zip(net.neck.pyramid, expected, strict=True):
            assert x.shape == (2, level.channels, -(-height // level.stride), -(-width // level.stride))
        assert largest_difference(found, expected) <= 1e-5


@pytest.mark.parametrize("neck", [FPN, PAN])
def test_gradients_reach_every_parameter(neck: type) -> None:
    net = neck(PYRAMID, width=4)
    maps = [paddle.to_tensor(x.astype(np.float32)) for x in random_maps(SIZES["even"])]
    sum(x.square().sum() for x in net(maps)).backward()
    assert all(np.abs(parameter.grad.numpy()).max() > 0 for parameter in net.parameters())


@pytest.mark.parametrize(
    ("pyramid", "options", "message"),
    [
        ((), {}, "at least one level"),
        ((Level(4, 16), Level(4, 8)), {}, r"finest first; found \[16, 8\]"),
        ((Level(4, 4), Level(4, 6)), {}, r"multiples of each other, finest first; found \[4, 6\]"),
        (PYRAMID, {"width": 0}, "found 0 and 0"),
        (PYRAMID, {"extra": -1}, "found 256 and -1"),
    ],
)
def test_wrong_requests_are_named(pyramid: tuple[Level, ...], options: dict[str, int], message: str) -> None:
    for neck in (FPN, PAN):
        with pytest.raises(ConfigError, match=message):
            neck(pyramid, **options)


def test_maps_of_another_pyramid_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"built for maps of \[3, 5, 2\] channels; found \[3, 5\]"):
        FPN(PYRAMID, 4)([paddle.zeros([1, 3, 8, 8]), paddle.zeros([1, 5, 4, 4])])
