"""The C++ sample: on this machine, and on emulated 64-bit and 32-bit ARM boards, byte for byte what Python does."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from absent import absent
from numpy.typing import NDArray
from PIL import Image

from deploy.lite import convert
from deploy.lite.handover import SHARED, sample_sources
from ppresnet import cli
from ppresnet.bundle import DEPLOY, GOLDEN, MANIFEST, Bundle
from ppresnet.files import write_manifest
from ppresnet.pixels import Preprocess, decode

DECLARED = Path(__file__).parent / "declared"
WITHOUT = "PPRESNET_WITHOUT_CROSS"  # .ci/run sets it where no cross compiler can be installed, and says so
ARCHES = ("native", "armv8", "armv7hf")
TOOLS = {
    "native": ("cmake", "c++"),
    "armv8": ("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64"),
    "armv7hf": ("cmake", "arm-linux-gnueabihf-g++", "qemu-arm"),
}
EMULATOR = {
    "native": (),
    "armv8": ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"),
    "armv7hf": ("qemu-arm", "-L", "/usr/arm-linux-gnueabihf"),
}
MACHINE = {"native": None, "armv8": 183, "armv7hf": 40}  # e_machine of the ELF header
GREY = {"input_size": 8, "in_channels": 1, "mean": (0.305,), "std": (0.376,)}
PHOTO = {
    "input_size": 224, "in_channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "resize": 256
}  # fmt: skip
SIZES = [(8, 8), (1, 1), (1, 9), (300, 2), (31, 33), (129, 250), (224, 224), (256, 301), (1000, 41)]


def run(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=600)


def build(sample: Path, folder: Path, arch: str, *options: str) -> Path:
    if missing := [tool for tool in TOOLS[arch] if shutil.which(tool) is None]:
        if arch != "native" and os.environ.get(WITHOUT):
            pytest.skip(f"NOT TESTED on {arch}: {WITHOUT} is set, since no {', no '.join(missing)} could be installed")
        absent(f"NOT TESTED on {arch}: no {', no '.join(missing)}; `bash tools/setup_cross.sh` installs them")
    chosen = [] if arch == "native" else [f"-DARCH={arch}"]
    for command in (["cmake", "-S", sample, "-B", folder, *chosen, *options], ["cmake", "--build", folder, "-j2"]):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def board(python: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for x86, as the command writes it."""
    output = tmp_path_factory.mktemp("cpp") / "board"
    arguments = ["--model", str(bundle.path), "--target", "x86", "--output", str(output)]
    assert cli.run(convert.main, convert.parse(arguments)) == 0
    return output


@pytest.fixture(scope="session")
def libraries(python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python package's library, which holds the light API, so that `board` itself runs on this machine.

    It is a Python module and wants symbols of an interpreter; none of them is used, so all are made up.
    """
    folder = tmp_path_factory.mktemp("libraries")
    if missing := [tool for tool in ("nm", "cc") if shutil.which(tool) is None]:
        absent(f"NOT TESTED: the C++ sample with Paddle Lite: no {', no '.join(missing)}")
    (package,) = python.parents[1].glob("lib/python3.7/site-packages/paddlelite")
    (folder / "liblite_pybind.so").symlink_to(package / "lite.so")
    (folder / "libs").symlink_to(package / "libs")
    listed = run("nm", "-D", "--undefined-only", package / "lite.so").stdout.split()
    names = sorted({each.split("@")[0] for each in listed if each.lstrip("_").startswith("Py")})
    assert names
    (folder / "python.c").write_text("".join(f"char {name}[4096];\n" for name in names))
    made = run("cc", "-shared", "-fPIC", "-o", folder / "libpython_symbols.so", folder / "python.c")
    assert made.returncode == 0, made.stderr
    return f"{folder}/liblite_pybind.so;{folder}/libpython_symbols.so"


@pytest.fixture(scope="session")
def built(libraries: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the very files that are handed over, once for each architecture."""
    made: dict[str, Path] = {}

    def once(arch: str) -> Path:
        if arch not in made:
            folder = tmp_path_factory.mktemp(arch)
            (folder / "cpp").mkdir()
            for source in sample_sources():
                shutil.copyfile(source, folder / "cpp" / source.name)
            library = [f"-DLITE_LIBRARY={libraries}"] if arch == "native" else []
            made[arch] = build(folder / "cpp", folder / "build", arch, f"-DLITE_INCLUDE={DECLARED}", *library)
        return made[arch]

    return once


@pytest.fixture(params=ARCHES)
def check(request: pytest.FixtureRequest, built: Callable[[str], Path]) -> list[object]:
    """How to call `board_check` of an architecture."""
    folder = built(request.param)
    if (machine := MACHINE[request.param]) is not None:
        assert (folder / "board_check").read_bytes()[18] == machine
        assert list((folder / "CMakeFiles" / "board_syntax.dir").glob("main.cpp.*"))
    return [*EMULATOR[request.param], folder / "board_check"]


@pytest.fixture
def program(built: Callable[[str], Path]) -> Path:
    """`board` itself, linked with Paddle Lite."""
    return built("native") / "board"


def with_preprocess(board: Path, folder: Path, preprocess: Preprocess) -> Path:
    """A folder of the same shape with other preprocessing; what is not the subject here is left as it was."""
    import json

    from ppresnet.export.golden import write_golden

    shutil.copytree(board, folder)
    described = json.loads((folder / "lite.json").read_text())
    described["preprocess"] = preprocess.model_dump()
    (folder / "lite.json").write_text(json.dumps(described))
    size = preprocess.input_size
    images = np.random.default_rng(1).standard_normal((2, preprocess.in_channels, size, size), np.float32)
    write_golden(folder / GOLDEN, images, np.random.default_rng(2).standard_normal((2, 5), np.float32))
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    return folder


def tensors(check: list[object], folder: Path, preprocess: Preprocess, *arguments: object) -> NDArray[np.float32]:
    done = run(*check, folder, *arguments)
    assert done.returncode == 0, done.stderr
    made = next(Path(str(each)) for each in arguments if str(each).endswith(".tensors"))
    size = preprocess.input_size
    return np.fromfile(made, np.float32).reshape(-1, preprocess.in_channels, size, size)


@pytest.mark.parametrize("how", [GREY, PHOTO], ids=["grey", "photo"])
def test_random_images_are_preprocessed_byte_for_byte(
    check: list[object], board: Path, tmp_path: Path, how: dict[str, object]
) -> None:
    preprocess = Preprocess.model_validate(how)
    folder = with_preprocess(board, tmp_path / "board", preprocess)
    rng, images = np.random.default_rng(7), []
    for height, width in SIZES:
        images.append(tmp_path / f"{height}x{width}.ppm")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(images[-1])
    found = tensors(check, folder, preprocess, "--tensors", tmp_path / "made.tensors", *images)
    for path, tensor in zip(images, found, strict=True):
        expected = preprocess(decode(path.read_bytes(), preprocess.in_channels))
        assert tensor.tobytes() == expected.tobytes(), path.name


def test_photographs_are_preprocessed_byte_for_byte(
    check: list[object], board: Path, tmp_path: Path, shared: Path
) -> None:
    preprocess = Preprocess.model_validate(PHOTO)
    folder = with_preprocess(board, tmp_path / "board", preprocess)
    images = []
    with zipfile.ZipFile(shared / "data" / "photos_200.zip") as photos:
        for name in [one for one in photos.namelist() if one.lower().endswith((".jpg", ".jpeg"))][::10]:
            images.append(tmp_path / f"{len(images)}.ppm")
            Image.fromarray(decode(photos.read(name), 3)).save(images[-1])
    assert len(images) >= 15
    found = tensors(check, folder, preprocess, "--tensors", tmp_path / "made.tensors", *images)
    for path, tensor in zip(images, found, strict=True):
        assert tensor.tobytes() == preprocess(decode(path.read_bytes(), 3)).tobytes(), path.name


def test_raw_rgb_is_read(check: list[object], board: Path, tmp_path: Path, bundle: Bundle) -> None:
    preprocess = bundle.deploy.preprocess
    pixels = np.random.default_rng(3).integers(0, 256, (30, 47, 3), np.uint8)
    (tmp_path / "image.rgb").write_bytes(pixels.tobytes())
    options = ("--raw", "47x30", "--tensors", tmp_path / "made.tensors", tmp_path / "image.rgb")
    assert tensors(check, board, preprocess, *options)[0].tobytes() == preprocess(pixels).tobytes()
    for size in ("30x47x", "46x30", "47", "x", "-1x9", "99999x99999"):
        done = run(*check, board, "--raw", size, "--tensors", tmp_path / "out", tmp_path / "image.rgb")
        assert done.returncode == 2, size


def test_outputs_are_held_against_the_golden_ones(
    check: list[object], board: Path, tmp_path: Path, bundle: Bundle
) -> None:
    logits = bundle.golden()[1]
    worst = np.abs(logits).max()
    for change, code in ((0, 0), (0.9e-4, 0), (1.1e-4, 3), (np.nan, 3), (np.inf, 3)):
        changed = logits.copy()
        changed[2, 3] += np.float32(change * worst)
        (tmp_path / "out").write_bytes(changed.tobytes())
        done = run(*check, board, "--outputs", tmp_path / "out")
        assert done.returncode == code, (change, done.stderr)
    (tmp_path / "out").write_bytes(np.zeros_like(logits).tobytes())
    assert run(*check, board, "--outputs", tmp_path / "out").returncode == 3
    (tmp_path / "out").write_bytes(logits.tobytes()[:-4])
    assert run(*check, board, "--outputs", tmp_path / "out").returncode == 2


def test_altered_folders_are_refused(check: list[object], board: Path, tmp_path: Path) -> None:
    done = run(*check, board)
    assert done.returncode == 0, done.stderr
    assert "x86, fp32, Paddle Lite v2.12; input 3 x 16 x 16, 5 classes, 4 golden images" in done.stdout
    folder = tmp_path / "board"
    shutil.copytree(board, folder)
    (folder / "cpp" / "main.cpp").write_text("// mine\n")
    (folder / "build").mkdir()
    (folder / "build" / "board").write_text("")
    assert run(*check, folder).returncode == 0, "the sample may be changed and built in its folder"
    for name in ("model.nb", "lite.json", "labels.txt", GOLDEN, MANIFEST):
        whole = (folder / name).read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 3] ^= 2
        for data in (bytes(flipped), whole[:-1]):
            (folder / name).write_bytes(data)
            assert run(*check, folder).returncode == 2, name
        (folder / name).unlink()
        assert run(*check, folder).returncode == 2, name
        (folder / name).write_bytes(whole)
    assert run(*check, folder).returncode == 0
    assert run(*check, tmp_path / "none").returncode == 2
    assert run(*check).returncode == 2


def test_every_shared_source_is_there_and_is_not_copied_in_the_project() -> None:
    names = [path.name for path in sample_sources()]
    assert len(names) == len(set(names))
    assert "pixels.cpp" in names
    assert not (Path(convert.__file__).parent / "cpp" / "pixels.cpp").exists()
    assert (SHARED / "pixels.cpp").is_file()


def test_the_program_reproduces_the_golden_tensors_and_classifies(
    program: Path, board: Path, bundle: Bundle, tmp_path: Path
) -> None:
    from deploy.inference import Predictor

    paths = [tmp_path / f"{number}.ppm" for number in range(3)]
    rng = np.random.default_rng(8)
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    done = run(program, board, *paths, "--top", "5", "--threads", "2", "--power", "high", "--latency", "7")
    assert done.returncode == 0, done.stderr
    assert "batch 4: relative difference" in done.stderr
    assert "batch 1: relative difference" in done.stderr
    *lines, latency = done.stdout.splitlines()
    assert "7 runs, 2 threads" in latency
    scores = Predictor(bundle.path)(paths)
    for number, path in enumerate(paths):
        rows = [line.split("\t") for line in lines if line.startswith(str(path))]
        order = np.argsort(-scores[number])
        assert [row[1] for row in rows] == [bundle.labels[k] for k in order]
        np.testing.assert_allclose([float(row[2]) for row in rows], scores[number][order], atol=1e-5)


def test_the_program_scores_each_class_on_its_own_where_the_bundle_says_so(
    program: Path, bundle: Bundle, tmp_path: Path
) -> None:
    from deploy.inference import Predictor

    several, output, path = tmp_path / "several", tmp_path / "board", tmp_path / "a.ppm"
    shutil.copytree(bundle.path, several)
    (several / DEPLOY).write_text(bundle.deploy.model_copy(update={"activation": "sigmoid"}).dump())
    (several / MANIFEST).unlink()
    write_manifest(several)
    arguments = ["--model", str(several), "--target", "x86", "--output", str(output)]
    assert cli.run(convert.main, convert.parse(arguments)) == 0
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    done = run(program, output, path, "--top", "5")
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    (logits,) = Predictor(bundle).logits([path]).astype(np.float64)
    order = np.argsort(-logits)
    assert [row[1] for row in rows] == [bundle.labels[k] for k in order]
    np.testing.assert_allclose([float(row[2]) for row in rows], 1 / (1 + np.exp(-logits[order])), atol=1e-5)


def test_the_program_refuses_what_it_cannot_trust(program: Path, board: Path, tmp_path: Path) -> None:
    import json

    from ppresnet.export.golden import write_golden

    folder = tmp_path / "board"
    shutil.copytree(board, folder)

    def seal() -> None:
        (folder / MANIFEST).unlink()
        write_manifest(folder)

    for options in (["--threads", "0"], ["--power", "max"], ["--top"], ["--what", "1"], ["none.ppm"]):
        assert run(program, folder, *options).returncode == 2, options
    described = (folder / "lite.json").read_text()
    wrong = (({"lite_version": "v2.11"}, "own version only"), ({"target": "opencl,arm"}, "OpenCL"))
    for change, says in (*wrong, ({"activation": "tanh"}, "expected softmax or sigmoid")):
        (folder / "lite.json").write_text(json.dumps({**json.loads(described), **change}))
        seal()
        done = run(program, folder)
        assert done.returncode == 2
        assert says in done.stderr
    (folder / "lite.json").write_text(described)
    with np.load(folder / GOLDEN) as golden:
        images, logits = golden["inputs"], golden["outputs"]
    write_golden(folder / GOLDEN, images, logits * np.float32(1.001))
    seal()
    assert run(program, folder).returncode == 3
    assert run(program, folder, "--limit", "0.01").returncode == 0


def test_the_ci_has_the_emulators() -> None:
    if os.environ.get("CI") and not os.environ.get(WITHOUT):
        assert [tool for tools in TOOLS.values() for tool in tools if shutil.which(tool) is None] == []
