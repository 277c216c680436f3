"""Our reader of the wire format against Paddle's own, and against itself."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from paddle.base import core

from deploy.lite.conversion import Source, is_quantised, version_of
from deploy.lite.options import Options
from deploy.lite.program import kernels_in
from deploy.lite.reader import read_program
from deploy.lite.weights import read_weights, write_weights
from deploy.lite.wire import BYTES, FIXED32, FIXED64, VARINT, Field, fields, message_of, numbers, signed
from ppresnet.bundle import PDMODEL, Bundle
from ppresnet.errors import CheckFailedError

Convert = Callable[[str, str], tuple[Path, Path]]

NUMBER = st.integers(1, 2**20)
FIELDS = st.lists(
    st.one_of(
        st.builds(Field, NUMBER, st.just(VARINT), st.integers(0, 2**64 - 1)),
        st.builds(Field, NUMBER, st.just(BYTES), st.binary(max_size=300)),
        st.builds(Field, NUMBER, st.just(FIXED32), st.binary(min_size=4, max_size=4)),
        st.builds(Field, NUMBER, st.just(FIXED64), st.binary(min_size=8, max_size=8)),
    )
)


@hypothesis.given(FIELDS)
def test_what_is_written_is_read(found: list[Field]) -> None:
    assert list(fields(message_of(found))) == found


@hypothesis.given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        found = list(fields(data))
    except ValueError as error:
        assert str(error)
    else:
        assert list(fields(message_of(found))) == found


def test_numbers_are_those_of_the_specification() -> None:
    # protobuf.dev, "Encoding": 150 is 96 01; -2 takes ten bytes.
    assert list(fields(b"\x08\x96\x01")) == [Field(1, VARINT, 150)]
    minus_two = b"\xfe" + b"\xff" * 8 + b"\x01"
    assert numbers(minus_two + b"\x03") == [-2, 3]
    assert signed(2**64 - 2) == -2
    assert list(fields(b"\x12\x07testing")) == [Field(2, BYTES, b"testing")]


def test_a_program_is_read_as_paddle_reads_it(bundle: Bundle, convert: Convert) -> None:
    for path in (bundle.file(PDMODEL), convert("opencl,arm", "fp32")[1] / "model"):
        data = path.read_bytes()
        ours, theirs_whole = read_program(data, "it"), core.ProgramDesc(data)
        block = theirs_whole.block(0)  # it does not keep the program alive
        assert len(ours.ops) == block.op_size()
        for index, op in enumerate(ours.ops):
            theirs = block.op(index)
            assert op.type == theirs.type()
            assert {name: list(names) for name, names in op.inputs.items()} == {
                name: theirs.input(name) for name in theirs.input_names()
            }
            assert {name: list(names) for name, names in op.outputs.items()} == {
                name: theirs.output(name) for name in theirs.output_names()
            }
            for name in ("strides", "groups", "act_type", "with_act", "epsilon", "data_format", "paddings"):
                if theirs.has_attr(name):
                    value = theirs.attr(name)
                    found = op.attributes[name]
                    assert list(found) == value if isinstance(value, list) else found == pytest.approx(value)
        assert ours.shapes[bundle.deploy.sites[0].parameter] == (8, 3, 3, 3)


def test_values_whose_names_lite_uses_again_stay_apart(convert: Convert) -> None:
    program = read_program((convert("arm", "fp32")[1] / "model").read_bytes(), "it")
    names = [name for op in program.ops for group in op.outputs.values() for name in group]
    assert len(set(names)) < len(names), "Lite no longer uses names again; this test shows nothing"
    given = [name for op in program.graph.ops for name in op.outputs]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("data", [b"", b"\x0a\x05abc", b"\xff" * 40, b'{"base_code": {}}', b"\x0a\x04\x22\x02\x0a\x00"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckFailedError, match="no Paddle program"):
        read_program(data, "it")


def test_a_cut_program_is_refused(bundle: Bundle) -> None:
    data = bundle.file(PDMODEL).read_bytes()
    # The last bytes, after the block, are versions that are not read.
    for end in np.random.default_rng(0).integers(0, len(data) // 2, 40):
        with pytest.raises(CheckFailedError):
            read_program(data[:end], "it")


def test_the_nb_names_the_kernels_of_the_program(convert: Convert) -> None:
    for target in ("arm", "opencl,arm", "x86"):
        nb, folder = convert(target, "fp32")
        program = read_program((folder / "model").read_bytes(), "it")
        assert sum(kernels_in(nb.read_bytes()).values()) == len(program.ops)
        assert kernels_in(nb.read_bytes())[("conv2d", *program.convolutions[0].kernel)] == 12


def test_equal_conversions_give_equal_bytes(source: Source, convert: Convert, tmp_path: Path) -> None:
    again = source.nb(Options("arm"), tmp_path / "model").read_bytes()
    assert again == convert("arm", "fp32")[0].read_bytes()
    assert version_of(again) == "v2.12"


def test_weights_come_back_as_they_were(convert: Convert, tmp_path: Path) -> None:
    folder = convert("x86", "fp32")[1]
    program, tensors = read_weights(folder)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: shape for name, shape in program.shapes.items() if name not in ("feed", "fetch")
    }
    write_weights(tmp_path / "params", tensors)
    assert (tmp_path / "params").read_bytes() == (folder / "params").read_bytes()


def test_quantisation_is_seen(bundle: Bundle) -> None:
    assert not is_quantised(read_program(bundle.file(PDMODEL).read_bytes(), "it"))
