"""Files that were made to run code, to fill the memory or to never end: each ends in a clear error and runs nothing."""

import os
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pickles import (
    call,
    dictionary,
    group,
    name,
    number,
    save_stream,
    storage,
    tensor,
    text,
    torch_stream,
    torch_zip,
    whole,
)
from resident import resident_mb

from ppresnet.errors import WeightsError
from ppresnet.weights import Limits, read_weights

CANARY = "canary"


def shell() -> bytes:
    return text(f"touch {CANARY}")


def python() -> bytes:
    return text(f"open({CANARY!r}, 'w')")


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def laughs(times: int) -> bytes:
    """A tuple of two of a tuple of two of ...: 2 ** times leaves."""
    return b")\x94" + b"".join(b"h" + bytes([i]) + b"\x86\x94" for i in range(times))


def array(shape: bytes, dtype: bytes, content: bytes) -> bytes:
    made = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), number(0), text("b"))
    return made + group(number(1), shape, dtype, b"\x89", content) + b"b"


def dtype(code: str) -> bytes:
    return call(name("numpy", "dtype"), text(code), b"\x89", b"\x88")


GOOD = dictionary({"w": tensor("0", (2, 3)), "b": tensor("1", (3,))})
RUNS_CODE = {
    "os.system by REDUCE": call(name("os", "system"), shell()),
    "posix.system": call(name("posix", "system"), shell()),
    "eval": call(name("builtins", "eval"), python()),
    "eval of Python 2": call(name("__builtin__", "eval"), python()),
    "exec by STACK_GLOBAL": short("builtins") + short("exec") + b"\x93" + group(python()) + b"R",
    "subprocess": call(name("subprocess", "getoutput"), shell()),
    "deep in a state dict": dictionary({"w": tensor("0", (2, 3)), "b": call(name("os", "system"), shell())}),
    "beside a state dict": dictionary({"state_dict": GOOD, "args": call(name("os", "system"), shell())}),
    "as an argument": call(name("collections", "OrderedDict"), b"]" + call(name("os", "system"), shell()) + b"a"),
    "as a class, by NEWOBJ": name("subprocess", "Popen") + group(shell()) + b"\x81",
    "by BUILD": name("os", "system") + shell() + b"b",
    "by the old INST": b"(" + shell() + b"ios\nsystem\n",
    "by the old OBJ": b"(" + name("os", "system") + shell() + b"o",
    "by a dotted name": short("collections") + short("OrderedDict.__init__.__globals__") + b"\x93",
    "torch.hub": call(name("torch.hub", "load"), text("x/y"), text("z")),
    "torch.load": call(name("torch", "load"), text("x")),
    "numpy.load": call(name("numpy", "load"), text("x")),
    "numpy's test runner": call(name("numpy.testing._private.utils", "runstring"), python(), b"}"),
    "a class of one's own": name("__main__", "Network") + b")\x81" + GOOD + b"b",
    "an extension code": b"\x82\x01",
    "a persistent name in text": b"Pos\n",
    "what Paddle writes for static tensors": call(name("builtins", "eval"), text("data"), dictionary({"data": GOOD})),
}
BROKEN = {
    "bytes of 2**62": b"\x8e" + struct.pack("<Q", 2**62),
    "text of 2**32 - 1": b"X" + struct.pack("<I", 2**32 - 1),
    "text of a negative length": b"T" + struct.pack("<i", -9),
    "a number by LONG4": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "a number in text": b"L" + b"9" * 100_000 + b"L\n",
    "a memo that is not there": b"j" + struct.pack("<I", 2**32 - 1),
    "a note under an endless number, and no more": b"]r" + struct.pack("<I", 2**32 - 1) + b"0",
    "two notes under one number": b"]q\x00]q\x00",
    "marks in marks": b"(" * 5000,
    "an empty stack": b"R",
    "items of a number": number(3) + text("a") + b"N" + b"s",
    "attributes of a number": number(3) + b"}b",
    "a call of a number": number(3) + b")R",
    "an odd number of items": b"}(" + text("a") + b"u",
    "a name without an end": b"c" + b"a" * 10_000,
    "a name twice": b"}(" + text("a") + b"N" + text("a") + b"N" + b"u",
    "laughs as a key": b"}" + laughs(60) + b"Ns",
    "laughs": dictionary({"w": laughs(60)}),
    "a list in itself": b"]q\x00h\x00a",
    "a dictionary in itself": b"}q\x00" + text("state_dict") + b"h\x00s",
    "nothing": b"}",
    "a number": number(1),
    "numbers as names": b"}" + number(1) + tensor("0", (2, 3)) + b"s",
    "Python objects as elements": dictionary({"w": array(group(number(1)), dtype("O8"), b"]N" + b"a")}),
    "several fields": dictionary({"w": array(group(number(1)), dtype("V8"), b"C\x08" + bytes(8))}),
    "elements of no length": dictionary({"w": array(group(number(1)), dtype("f0"), b"C\x08" + bytes(8))}),
    "more elements than bytes": dictionary({"w": array(group(number(2**40)), dtype("f4"), b"C\x08" + bytes(8))}),
    "a negative shape": dictionary({"w": array(group(number(-2)), dtype("f4"), b"C\x08" + bytes(8))}),
    "a shape beyond 64 bits": dictionary({"w": array(group(*[number(2**40)] * 8), dtype("f4"), b"C\x00")}),
    "a shape of many axes": dictionary({"w": array(group(*[number(1)] * 70), dtype("f4"), b"C\x04" + bytes(4))}),
    "a shape of text": dictionary({"w": array(text("33"), dtype("f4"), b"C\x08" + bytes(8))}),
    "an array built twice": dictionary({"w": array(group(number(1)), dtype("f4"), b"C\x04" + bytes(4)) + b"Nb"}),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(path: Path, limits: Limits | None = None) -> str:
    """The error; nothing was run, little memory was taken and little time."""
    before, begun = resident_mb(), time.monotonic()
    with pytest.raises(WeightsError) as caught:
        read_weights(path, limits=limits)
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 1500
    assert not Path(CANARY).exists()
    assert resident_mb() - before < 200
    assert time.monotonic() - begun < 20
    return message


def as_zip(body: bytes) -> Path:
    return torch_zip(Path("x.pth"), body, {"0": bytes(24), "1": bytes(12)})


def as_stream(body: bytes) -> Path:
    """With the storages that the body names: for one more alone it would be refused."""
    named = {key: (count, bytes(4 * count)) for key, count in {"0": 6, "1": 3}.items() if text(key) in body}
    Path("x.th").write_bytes(torch_stream(body, named))
    return Path("x.th")


def as_pdparams(body: bytes) -> Path:
    Path("x.pdparams").write_bytes(whole(body, protocol=4))
    return Path("x.pdparams")


FILES = pytest.mark.parametrize("file", [as_zip, as_stream, as_pdparams])


def test_the_canary_sings_when_pickle_reads_it() -> None:
    pickle.loads(whole(RUNS_CODE["os.system by REDUCE"]))  # noqa: S301
    assert Path(CANARY).exists()


def test_what_they_are_made_of_is_read_without_them() -> None:
    assert read_weights(as_zip(GOOD)).tensors.keys() == read_weights(as_stream(GOOD)).tensors.keys() == {"w", "b"}
    Path("y.pdparams").write_bytes(whole(dictionary({"w": array(group(number(2)), dtype("f4"), b"C\x08" + bytes(8))})))
    assert read_weights("y.pdparams").tensors.keys() == {"w"}


@FILES
@pytest.mark.parametrize("kind", RUNS_CODE)
def test_nothing_is_run(kind: str, file: Callable[[bytes], Path]) -> None:
    message = refused(file(RUNS_CODE[kind]))
    assert "it asks for '" in message or "its pickle has the instruction b'" in message


@FILES
@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_ends(kind: str, file: Callable[[bytes], Path]) -> None:
    message = refused(file(BROKEN[kind]))
    assert "cannot be taken as weights: " in message
    assert not message.endswith("it is too large for this machine")


REASONS = {
    "bytes of 2**62": "ends too early: 4611686018427387904 bytes are needed",
    "text of a negative length": "ends too early: -9 bytes are needed",
    "a number by LONG4": r"has the instruction b'\x8b' at byte",
    "a number in text": "has the instruction b'L' at byte",
    "marks in marks": "nested more than 1000 deep",
    "an empty stack": "REDUCE before byte",
    "items of a number": "fills a int as if it were a dict",
    "a call of a number": "calls a int, which is not called",
    "a name without an end": "does not end within 512 bytes",
    "a name twice": "'a' is in it twice",
    "laughs as a key": "a key of type tuple",
    "a dictionary in itself": "it has no tensors under names; it holds 'state_dict'",
    "numbers as names": "it has no tensors under names; it holds 1.",
    "more elements than bytes": "does not lie within its storage of 2 elements",
    "a negative shape": "the shape [-2]; expected whole numbers",
    "a shape of many axes": "expected at most 8 whole numbers",
}


@pytest.mark.parametrize("kind", REASONS)
def test_the_error_says_what_is_broken(kind: str) -> None:
    assert REASONS[kind] in refused(as_pdparams(BROKEN[kind]) if kind != "numbers as names" else as_zip(BROKEN[kind]))


@FILES
def test_the_error_names_what_was_asked_for(file: Callable[[bytes], Path]) -> None:
    message = refused(file(RUNS_CODE["os.system by REDUCE"]))
    assert "asks for 'os.system'" in message
    assert "save the network's state_dict()" in message


@FILES
@pytest.mark.parametrize("endless", [b"}b", b"]", b"N", b"\x85"])
def test_there_is_an_end_to_instructions(endless: bytes, file: Callable[[bytes], Path]) -> None:
    path = file(b"}" + endless * 300_000)
    assert "more than 100000 instructions" in refused(path, Limits(instructions=100_000))


@FILES
def test_a_file_cut_anywhere(file: Callable[[bytes], Path]) -> None:
    body = (
        GOOD
        if file is not as_pdparams
        else dictionary({"w": array(group(number(2)), dtype("f4"), b"C\x08" + bytes(8))})
    )
    sound = file(body)
    assert read_weights(sound).tensors
    data = sound.read_bytes()
    for length in range(0, len(data) - 1, 7):
        Path("cut").write_bytes(data[:length])
        refused(Path("cut"))


def reference(kind: str, named: bytes, *more: bytes) -> bytes:
    return group(text(kind), named, text("0"), text("cpu"), *more) + b"Q"


TENSORS = {
    "a storage with fewer bytes": tensor("0", (6,), count=7),
    "a storage with more bytes": tensor("0", (5,), count=5),
    "a storage of another width": tensor("0", (6,), kind="Double"),
    "a storage that is not there": tensor("9", (6,)),
    "a storage of 2**47 elements": tensor("0", (6,), count=2**47),
    "a storage outside of the folder": tensor("../../0", (6,)),
    "a view beyond its storage": tensor("0", (3, 3), count=6),
    "an offset beyond it": tensor("0", (6,), offset=1),
    "a negative offset": tensor("0", (6,), offset=-1),
    "negative strides": tensor("0", (6,), (-1,), offset=5),
    "strides of 0 and a terabyte": tensor("0", (2**20, 2**20), (0, 0), count=6),
    "strides that are too few": tensor("0", (2, 3), (1,)),
    "a storage of two types": group(tensor("0", (6,)), tensor("0", (6,), kind="Int")),
    "complex numbers": tensor("0", (6,), kind="ComplexFloat"),
    "quantised numbers": tensor("0", (6,), kind="QInt8"),
    "no storage": call(name("torch._utils", "_rebuild_tensor_v2"), b"N", number(0), group(), group(), b"\x89", b"}"),
    "a class as a storage": reference("storage", name("torch._utils", "_rebuild_tensor"), number(1)),
    "a module with its source": reference("module", name("torch", "FloatStorage"), text("import os")),
    "a reference to a list": b"]Q",
    "another part of a storage": reference("storage", name("torch", "FloatStorage"), number(6), text("x")),
}


@pytest.mark.parametrize("file", [as_zip, as_stream])
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_lie(kind: str, file: Callable[[bytes], Path]) -> None:
    assert read_weights(file(dictionary({"w": tensor("0", (6,))}))).tensors["w"].shape == (6,)
    refused(file(dictionary({"w": TENSORS[kind]})))


def test_many_views_of_one_storage() -> None:
    views = dictionary({f"w{i}": tensor("0", (6,)) for i in range(100)})
    assert "at most 96 are read" in refused(as_zip(views))


def test_more_tensors_than_any_network_has() -> None:
    path = as_zip(dictionary({f"w{i}": tensor("0", (6,)) for i in range(100)}))
    assert "it holds 100 tensors; at most 50 are read" in refused(path, Limits(tensors=50))


def linked(path: Path) -> None:
    info = zipfile.ZipInfo("archive/data/0")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", whole(GOOD))
        file.writestr(info, "/etc/passwd")


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        for member, data in members.items():
            file.writestr(member, data)


PICKLE = whole(GOOD)
ZIPS: dict[str, Callable[[Path], None]] = {
    "a bomb as pickle": lambda path: packed(path, {"a/data.pkl": bytes(2**28)}, zipfile.ZIP_DEFLATED),
    "a bomb as storage": lambda path: packed(
        path,
        {"a/data.pkl": whole(dictionary({"w": tensor("0", (2**26,))})), "a/data/0": bytes(2**28)},
        zipfile.ZIP_DEFLATED,
    ),
    "a member that climbs": lambda path: packed(path, {"a/data.pkl": PICKLE, "../../x": b""}),
    "an absolute member": lambda path: packed(path, {"a/data.pkl": PICKLE, "/x": b""}),
    "a member that is a link": linked,
    "two pickles": lambda path: packed(path, {"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}),
    "no pickle": lambda path: packed(path, {"a/x.npy": b""}),
    "a program": lambda path: packed(path, {"a/data.pkl": PICKLE, "a/constants.pkl": PICKLE}),
    "big-endian numbers": lambda path: packed(path, {"a/data.pkl": PICKLE, "a/byteorder": b"big"}),
    "storages that are missing": lambda path: packed(path, {"a/data.pkl": PICKLE}),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_zips(kind: str, tmp_path: Path) -> None:
    ZIPS[kind](tmp_path / "x.pth")
    refused(tmp_path / "x.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pth"]


BARE, CODE = torch_stream(GOOD, {}), whole(RUNS_CODE["os.system by REDUCE"])
STREAMS = {
    "another count than the pickle's": (
        torch_stream(GOOD, {"0": (5, bytes(24)), "1": (3, bytes(12))}),
        "the storage '0' has 5 elements; its pickle says 6",
    ),
    "a negative count": (
        torch_stream(GOOD, {"0": (-6, bytes(24)), "1": (3, bytes(12))}),
        "the storage '0' has -6 elements; its pickle says 6",
    ),
    "a storage no tensor has": (
        torch_stream(GOOD, {"0": (6, bytes(24)), "2": (3, bytes(12))}),
        "a storage '2' that no tensor refers to",
    ),
    "a storage missing": (torch_stream(GOOD, {"0": (6, bytes(24))}), "needs 12 bytes, the file has 0"),
    "bytes missing": (torch_stream(GOOD, {"0": (6, bytes(24)), "1": (3, bytes(11))}), "it ends too early"),
    "code in the head": (BARE[:15] + CODE + BARE[15:], "it asks for 'os.system'"),
    "code in the list of storages": (BARE.removesuffix(whole(b"](e")) + CODE, "it asks for 'os.system'"),
}


@pytest.mark.parametrize(("data", "reason"), STREAMS.values(), ids=STREAMS)
def test_streams(data: bytes, reason: str) -> None:
    Path("x.th").write_bytes(data)
    assert reason in refused(Path("x.th"))


ZERO_SIZED = "expected sizes that a network can have"


def test_safetensors_that_lie() -> None:
    for header, reason in (
        (b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,160]}}', "it is no sound safetensors file"),
        (b'{"w":{"dtype":"F8_E4M3","shape":[16],"data_offsets":[0,16]}}', "a tensor has elements of F8_E4M3"),
        (b"{" * 8, "it is no sound safetensors file"),
        (b'{"w":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}', ZERO_SIZED),
        (b'{"w":{"dtype":"F32","shape":[0,16777216,16777216,16777216],"data_offsets":[0,0]}}', ZERO_SIZED),
    ):
        Path("x.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + bytes(0 if reason == ZERO_SIZED else 16)
        )
        assert reason in refused(Path("x.safetensors"))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo("pipe")
    Path("empty.pth").touch()
    Path("page.pth").write_text("<!doctype html>")
    Path("tar.pth").write_bytes(bytes(257) + b"ustar" + bytes(250))
    for path in ("pipe", "/dev/zero", ".", "none.pth"):
        assert "no such file" in refused(Path(path))
    assert "expected safetensors" in refused(Path("empty.pth"))
    assert "expected safetensors" in refused(Path("page.pth"))
    assert "torch 0.1" in refused(Path("tar.pth"))


def test_files_beyond_the_limit() -> None:
    path = save_stream(Path("x.th"), {"w": np.zeros(1000, np.float32)})
    assert "at most 1000 are read" in refused(path, Limits(bytes=1000))


def test_a_sparse_file_is_not_read_into_memory() -> None:
    with Path("x.pth").open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(2**40)
    assert "at most" in refused(Path("x.pth"))


def test_storages_that_nothing_limits_but_their_bytes() -> None:
    body = dictionary({"w": storage("0", 6), "v": storage("1", 3)})
    assert read_weights(as_zip(body)).tensors["w"].shape == (6,)
