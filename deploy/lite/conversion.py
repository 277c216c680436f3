"""One network through Paddle Lite's optimiser, in the form that runs (`.nb`) and in the form that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.lite.options import WEIGHT_TYPES, Options
from deploy.lite.process import TIMEOUT, WorkerError, ask
from deploy.lite.program import Program
from deploy.lite.reader import read_program
from ppresnet.errors import CheckFailedError, RequestError

TAILORING = ("ops_list", "kernels_list", "ops_source_list", "kernels_source_list")
_QUANTISERS = ("quantize", "dequantize")
# Format, then Lite's version in 16 bytes: after its NUL stands what the memory held, another in every run.
_VERSION = slice(2, 18)


@dataclass(frozen=True)
class Source:
    """A program in the old IR with its parameters, and the Python that has Lite.

    Attributes:
        python: interpreter of the worker.
        program: a `.pdmodel`.
        params: its `.pdiparams`.
        timeout: seconds that one conversion may take.
    """

    python: Path
    program: Path
    params: Path
    timeout: float = TIMEOUT

    def read(self) -> Program:
        """Return the program itself.

        Raises:
            RequestError: it is a `.json`, which Lite aborts on, no such file, or no program.
        """
        if self.program.suffix == ".json":
            raise RequestError(
                f"{self.program}: Paddle Lite cannot read the .json of Paddle 3; give the .pdmodel of the bundle"
            )
        for path in (self.program, self.params):
            if not path.is_file():
                raise RequestError(f"no file {path}; expected a .pdmodel with its .pdiparams beside it")
        try:
            return read_program(self.program.read_bytes(), str(self.program))
        except CheckFailedError as error:
            raise RequestError(f"{error}; expected a .pdmodel with its .pdiparams beside it") from error

    def nb(self, options: Options, prefix: Path, record: bool = False) -> Path:
        """Write `prefix.nb`, and with `record` the lists for a tailored build into the folder `prefix`.

        Raises:
            WorkerError: Lite did not write it.
        """
        self._convert(options, prefix, "naive_buffer", record)
        path = Path(f"{prefix}.nb")
        if not path.is_file() or not path.stat().st_size:
            raise WorkerError(f"Paddle Lite ended well and wrote no {path.name}; is the disk full?")
        data = bytearray(path.read_bytes())
        field = bytes(data[_VERSION])
        data[_VERSION] = field.split(b"\0", 1)[0].ljust(len(field), b"\0")
        path.write_bytes(data)
        return path

    def protobuf(self, options: Options, folder: Path) -> Path:
        """Write `model` and `params` into a folder and return it.

        Raises:
            WorkerError: Lite did not write them.
        """
        self._convert(options, folder, "protobuf", False)
        if not all((folder / name).is_file() for name in ("model", "params")):
            raise WorkerError(f"Paddle Lite ended well and wrote no program into {folder.name}; is the disk full?")
        return folder

    def _convert(self, options: Options, output: Path, form: str, record: bool) -> None:
        request = {
            "do": "convert",
            "program": str(self.program.resolve()),
            "params": str(self.params.resolve()),
            "output": str(output),
            "form": form,
            "target": options.target,
            "fp16": options.precision == "fp16",
            "weights": WEIGHT_TYPES.get(options.precision),
            "sparse": options.sparse,
            "record": record,
        }
        ask(self.python, request, self.timeout)


def is_quantised(program: Program) -> bool:
    """Return whether a program holds quantisation operators."""
    return any(part in op.type for op in program.ops for part in _QUANTISERS)


def expect_whole(program: Program) -> None:
    """Refuse a quantised program in which convolutions stayed in float: Lite 2.12 aborts on their BatchNorm.

    Raises:
        RequestError: with how many there are.
    """
    graph = program.graph
    convs = [op.filter for op in graph.live if op.filter is not None]
    rounded = [name for name in convs if name in graph.producer and graph.producer[name].type == "dequantize_linear"]
    if rounded and len(rounded) < len(convs):
        raise RequestError(
            f"{len(convs) - len(rounded)} of {len(convs)} convolutions of this program stayed in float, and Paddle "
            "Lite takes a quantised network only whole; quantise with --most-float 0, and with --method qat if it must"
        )


def version_of(nb: bytes) -> str:
    """Return the version of Lite that wrote an `.nb`."""
    return nb[_VERSION].split(b"\0", 1)[0].decode("ascii", "replace")
