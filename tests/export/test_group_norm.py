"""Networks with GroupNorm in every format: paddle2onnx leaves the epsilon of each one uninitialised."""

from pathlib import Path

import bundles
import numpy as np
import paddle
import pytest
from paddle import nn
from relative import difference

from ppresnet.export.onnx import can_convert, convert
from ppresnet.layers import ConvNorm


@pytest.mark.skipif(not can_convert(), reason="paddle2onnx is not installed")
@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("format", bundles.FORMATS)
def test_onnx_has_the_epsilon_of_the_network(format: str, norm: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    paddle.seed(0)
    net = nn.Sequential(ConvNorm(3, 16, 3, act="relu", norm=norm), ConvNorm(16, 8, 3, stride=2, norm=norm))
    net.eval()
    bundles.save_programs(net, tmp_path, formats=[format])
    assert convert(tmp_path) == f"inference.{format}"
    nodes = [node for node in onnx.load(tmp_path / "model.onnx").graph.node if node.op_type == "InstanceNormalization"]
    assert [attribute.f for node in nodes for attribute in node.attribute] == [np.float32(1e-5)] * 2
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    # Small inputs: there a wrong epsilon shows.
    images = bundles.random_images(3) * np.float32(1e-2)
    (found,) = session.run(None, {session.get_inputs()[0].name: images})
    assert difference(found, bundles.logits_of(net, images)) <= 1e-4
