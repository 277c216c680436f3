import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import paddle
import pytest
from numpy.typing import NDArray
from PIL import Image

import deploy.inference
from ppresnet import paddle_api
from ppresnet.bundle import (
    DEPLOY,
    GOLDEN,
    LABELS,
    MANIFEST,
    PARAMS,
    PDMODEL,
    Activation,
    Deploy,
    Port,
    Source,
    list_files,
)
from ppresnet.export.golden import write_golden
from ppresnet.files import write_manifest
from ppresnet.pixels import Preprocess, decode

SAMPLE = Path(deploy.inference.__file__).parent / "cpp"
LABELLED = ("cat", "dög", "a b")
GREY = Preprocess(input_size=8, in_channels=1, mean=(0.305,), std=(0.376,))
COLOUR = Preprocess(input_size=32, in_channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), resize=37)
SIZES = [(8, 8), (32, 32), (37, 37), (37, 200), (1, 1), (1, 9), (300, 2), (31, 33), (64, 37), (129, 250), (1000, 41)]


def run(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def build(folder: Path, *options: str) -> Path:
    missing = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"the C++ sample is not tested: no {' and no '.join(missing)}"
        )
    for command in (["cmake", "-S", SAMPLE, "-B", folder, *options], ["cmake", "--build", folder, "-j2"]):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def check(built: Path) -> Path:
    return built / "bundle_check"


def seal(folder: Path, preprocess: Preprocess, activation: Activation = "softmax") -> Path:
    """Writes deploy.json and the manifest of what stands in `folder`."""
    for name in (DEPLOY, MANIFEST):
        (folder / name).unlink(missing_ok=True)
    size = preprocess.input_size
    made = Deploy(
        name="made",
        spec={"name": 'quoted " \\ é', "nested": [[], {}, None, True, -1.5e-7]},
        preprocess=preprocess,
        inputs=(Port(shape=(-1, preprocess.in_channels, size, size), dtype="float32"),),
        outputs=(Port(shape=(-1, len(LABELLED)), dtype="float32"),),
        activation=activation,
        files=list_files(folder),
        producers={},
        source=Source(checkpoint="none", sha256="0" * 64),
        sites=(),
    )
    (folder / DEPLOY).write_text(made.dump(), encoding="utf-8")
    write_manifest(folder)
    return folder


def bundle(folder: Path, preprocess: Preprocess) -> Path:
    folder.mkdir()
    (folder / PDMODEL).write_bytes(b"program")
    (folder / PARAMS).write_bytes(bytes(range(256)) * 9000)
    (folder / LABELS).write_text("\n".join(LABELLED) + "\n", encoding="utf-8")
    rng, size = np.random.default_rng(1), preprocess.input_size
    inputs = rng.standard_normal((4, preprocess.in_channels, size, size), np.float32)
    write_golden(folder / GOLDEN, inputs, rng.standard_normal((4, len(LABELLED)), np.float32))
    return seal(folder, preprocess)


def tensors(check: Path, folder: Path, preprocess: Preprocess, images: list[Path]) -> NDArray[np.float32]:
    made = folder.with_suffix(".tensors")
    done = run(check, folder, "--tensors", made, *images)
    assert done.returncode == 0, done.stderr
    size = preprocess.input_size
    return np.fromfile(made, np.float32).reshape(-1, preprocess.in_channels, size, size)


def assert_same(check: Path, folder: Path, preprocess: Preprocess, images: list[Path]) -> None:
    found = tensors(check, folder, preprocess, images)
    assert len(found) == len(images)
    for path, tensor in zip(images, found, strict=True):
        expected = preprocess(decode(path.read_bytes(), preprocess.in_channels))
        assert tensor.tobytes() == expected.tobytes(), path.name


@pytest.mark.parametrize(
    "preprocess", [GREY, COLOUR, GREY.model_copy(update={"input_size": 37}), COLOUR.model_copy(update={"resize": None})]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_random_images_are_preprocessed_byte_for_byte(
    check: Path, tmp_path: Path, preprocess: Preprocess, channels: int
) -> None:
    rng, images = np.random.default_rng(channels), []
    drawn = [(int(height), int(width)) for height, width in rng.integers(1, 400, (30, 2))]
    for height, width in SIZES + [size[::-1] for size in SIZES] + drawn:
        pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
        if len(images) % 3 == 0:
            pixels = np.where(pixels < 128, np.uint8(0), np.uint8(255))
        images.append(tmp_path / f"{height}x{width}.ppm")
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(images[-1])
    assert_same(check, bundle(tmp_path / "bundle", preprocess), preprocess, images)


@pytest.mark.parametrize("preprocess", [GREY, COLOUR.model_copy(update={"input_size": 224, "resize": 256})])
def test_photographs_are_preprocessed_byte_for_byte(
    check: Path, tmp_path: Path, shared: Path, preprocess: Preprocess
) -> None:
    images = []
    with zipfile.ZipFile(shared / "data" / "photos_200.zip") as photos:
        for name in [one for one in photos.namelist() if one.endswith((".jpg", ".jpeg", ".JPEG"))][::5]:
            images.append(tmp_path / f"{len(images)}.ppm")
            Image.fromarray(decode(photos.read(name), 3)).save(images[-1])
    assert len(images) >= 40
    assert_same(check, bundle(tmp_path / "bundle", preprocess), preprocess, images)


def picture(seed: int = 3) -> Image.Image:
    y, x = np.mgrid[0:45, 0:70]
    waves = [127 + 120 * np.sin(x / (5 + seed + c) + y / (9 - c)) for c in range(3)]
    return Image.fromarray(np.stack(waves, 2).astype(np.uint8))


def test_compressed_images_where_their_libraries_were_found(built: Path, check: Path, tmp_path: Path) -> None:
    cache = (built / "CMakeCache.txt").read_text()
    images = []
    for kind, library in (("jpg", "JPEG_LIBRARY_RELEASE"), ("png", "PNG_LIBRARY_RELEASE")):
        if f"{library}:FILEPATH={library}-NOTFOUND" in cache or f"{library}:FILEPATH=" not in cache:
            continue
        modes = ("RGB", "L", "RGB", "L") if kind == "jpg" else ("RGB", "L", "P", "1")
        for number, mode in enumerate(modes):
            images.append(tmp_path / f"{number}.{kind}")
            picture(number).convert(mode).save(images[-1])
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            images.append(tmp_path / f"turned{orientation}.{kind}")
            picture().save(images[-1], exif=exif)
    if not images:
        pytest.skip("neither libjpeg nor libpng was found by CMake")
    assert_same(check, bundle(tmp_path / "bundle", COLOUR), COLOUR, images)


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["ppm", "jpg", "png"])
def test_truncated_images_are_refused(check: Path, tmp_path: Path, kind: str, cut: float) -> None:
    whole = io.BytesIO()
    picture().save(whole, {"ppm": "PPM", "jpg": "JPEG", "png": "PNG"}[kind])
    image = tmp_path / f"image.{kind}"
    image.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * cut)])
    done = run(check, bundle(tmp_path / "bundle", COLOUR), "--tensors", tmp_path / "out", image)
    assert done.returncode == 2
    assert str(image) in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P6",
        b"P6 -1 4 255 ",
        b"P6 4 4 65535 ",
        b"P6 99999 99999 255 ",
        b"P6 2 1 255\n12345",
        b"P3 1 1 255 1 1 1",
        b"GIF89a",
    ],
)
def test_damaged_ppm_is_refused(check: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "image").write_bytes(data)
    assert (
        run(check, bundle(tmp_path / "bundle", GREY), "--tensors", tmp_path / "out", tmp_path / "image").returncode == 2
    )


def test_ppm_header_may_hold_comments(check: Path, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"P5 # one\n#two\n 9\t8 # 7\n255\n" + bytes(range(72)))
    assert_same(check, bundle(tmp_path / "bundle", GREY), GREY, [tmp_path / "image"])


def test_sha256_is_that_of_hashlib(check: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contents = {
        str(size): rng.bytes(size) for size in [*range(55, 66), 0, 1, 119, 120, 127, 128, 129, 1 << 20, 3_000_001]
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    done = run(check, "--sha256", *(tmp_path / name for name in contents))
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        hashlib.sha256(data).hexdigest() for data in contents.values()
    ]


def savez(path: Path, inputs: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    np.savez(path, inputs=inputs, outputs=outputs)


@pytest.mark.parametrize("write", [write_golden, savez])
def test_golden_tensors_are_read_as_numpy_reads_them(check: Path, tmp_path: Path, write: "type[savez]") -> None:  # type: ignore[valid-type]
    folder = bundle(tmp_path / "bundle", GREY)
    inputs = np.random.default_rng(5).standard_normal((7, 1, 8, 8), np.float32)
    outputs = np.float32([[0.0, -0.0, np.pi]] * 7)
    write(folder / GOLDEN, inputs, outputs)
    done = run(check, seal(folder, GREY), "--golden", tmp_path / "raw")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw").read_bytes() == inputs.tobytes() + outputs.tobytes()


def golden_bytes(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


INPUTS, OUTPUTS = np.ones((2, 1, 8, 8), np.float32), np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\5\6" + b"\0" * 18,
        golden_bytes(inputs=INPUTS, outputs=OUTPUTS)[:-30],
        golden_bytes(True, inputs=INPUTS, outputs=OUTPUTS),
        golden_bytes(inputs=INPUTS.astype(np.float64), outputs=OUTPUTS),
        golden_bytes(
            inputs=np.asfortranarray(np.ones((2, 1, 8, 8), np.float32)[:, :, :, :]), outputs=np.asfortranarray(OUTPUTS)
        ),
        golden_bytes(inputs=INPUTS, outputs=OUTPUTS, more=OUTPUTS),
        golden_bytes(inputs=INPUTS),
        golden_bytes(inputs=INPUTS[:1], outputs=OUTPUTS),
        golden_bytes(inputs=INPUTS[:, :, :7], outputs=OUTPUTS),
        golden_bytes(inputs=INPUTS, outputs=OUTPUTS[:, :2]),
    ],
)
def test_other_golden_files_are_refused(check: Path, tmp_path: Path, data: bytes) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    (folder / GOLDEN).write_bytes(data)
    assert run(check, seal(folder, GREY)).returncode == 2


def test_whole_bundle_holds(check: Path, tmp_path: Path) -> None:
    done = run(check, bundle(tmp_path / "bundle", COLOUR))
    assert done.returncode == 0, done.stderr
    assert "5 files hold; input 3 x 32 x 32, 3 classes, 4 golden images" in done.stdout


@pytest.mark.parametrize("name", [PDMODEL, PARAMS, LABELS, GOLDEN, DEPLOY, MANIFEST])
def test_flipped_cut_or_missing_files_are_refused(check: Path, tmp_path: Path, name: str) -> None:
    folder, rng = bundle(tmp_path / "bundle", GREY), np.random.default_rng(len(name))
    whole = (folder / name).read_bytes()
    for _ in range(8):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(flipped)
        assert run(check, folder).returncode == 2
        (folder / name).write_bytes(whole[: rng.integers(len(whole))])
        assert run(check, folder).returncode == 2
    (folder / name).unlink()
    done = run(check, folder)
    assert done.returncode == 2
    assert name in done.stderr
    (folder / name).write_bytes(whole)
    assert run(check, folder).returncode == 0


def test_unlisted_files_and_links_are_refused(check: Path, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    (folder / "more").write_bytes(b"")
    assert "more is not listed" in run(check, folder).stderr
    (folder / "more").unlink()
    (folder / LABELS).rename(tmp_path / LABELS)
    (folder / LABELS).symlink_to(tmp_path / LABELS)
    assert run(check, folder).returncode == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"files": {}}, "disagree"),
        ({"preprocess": {"input_size": 8}}, "in_channels"),
        ({"preprocess": {**GREY.model_dump(), "mean": [0.1, 0.2]}}, "preprocess"),
        ({"preprocess": {**GREY.model_dump(), "input_size": 8.5}}, "integer"),
        ({"outputs": []}, "more items"),
        ({"activation": "tanh"}, "activation is 'tanh'; expected softmax or sigmoid"),
        ({"activation": None}, "a string"),
        ({"outputs": [{"shape": [-1, 4], "dtype": "float32"}]}, "3 labels for 4 classes"),
    ],
)
def test_deploy_json_that_does_not_agree_is_refused(
    check: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    (folder / MANIFEST).unlink()
    (folder / DEPLOY).write_text(json.dumps({**json.loads((folder / DEPLOY).read_bytes()), **change}))
    write_manifest(folder)
    done = run(check, folder)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_older_bundle_without_an_activation_holds(check: Path, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    deploy = json.loads((folder / DEPLOY).read_bytes())
    del deploy["activation"]
    (folder / MANIFEST).unlink()
    (folder / DEPLOY).write_text(json.dumps(deploy))
    write_manifest(folder)
    done = run(check, folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100,
        "{} {}",
        '{"a": 1, "a": 2}',
        "{'a': 1}",
        '{"a": 01}',
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": "\t"}',
        '{"a": 1,}',
    ],
)
def test_text_that_is_not_json_is_refused(check: Path, tmp_path: Path, text: str) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    (folder / MANIFEST).unlink()
    (folder / DEPLOY).write_text(text)
    write_manifest(folder)
    done = run(check, folder)
    assert done.returncode == 2
    assert "not JSON" in done.stderr


def test_wrong_requests(check: Path, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", GREY)
    assert run(check).returncode == 2
    assert run(check, tmp_path / "none").returncode == 2
    assert run(check, folder, "--what").returncode == 2
    assert run(check, folder, "--tensors", tmp_path / "out", tmp_path / "none").returncode == 2
    assert run(check, folder, "--golden", tmp_path / "none" / "out").returncode == 2
    if sys.platform == "linux":
        assert run(check, folder, "--golden", "/dev/full").returncode == 1


def test_without_paddle_main_is_compiled_against_the_declarations(built: Path) -> None:
    assert list((built / "CMakeFiles" / "classify_syntax.dir").glob("main.cpp.*"))


def test_main_compiles_with_the_names_of_paddle_26(built: Path, tmp_path: Path) -> None:
    declared = (SAMPLE / "paddle_inference_api_declarations.hpp").read_text()
    kept = [line for line in declared.splitlines() if "EnableNewIR" not in line and "EnableCustomPasses" not in line]
    old = "\n".join(kept).replace("SetOnednn", "SetMkldnn").replace("ONEDNN", "MKLDNN")
    (tmp_path / "paddle_inference_api.h").write_text(old)
    options = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-DPPRESNET_PADDLE_HEADERS"]
    done = run("c++", *options, "-isystem", tmp_path, SAMPLE / "main.cpp")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def classify(built: Path) -> Path:
    """The sample linked with the library of the installed wheel."""
    paddle = importlib.util.find_spec("paddle")
    python = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LDLIBRARY") or "")
    if paddle is None or not paddle.origin:
        pytest.skip("Paddle is not installed: classify is not linked and not run")
    if python.suffix != ".so" or not python.is_file():
        pytest.skip("this Python has no shared libpython, which the wheel needs: classify is not linked and not run")
    if not paddle_api.has_json():
        pytest.skip("our declarations are those of Paddle 3: classify is not linked and not run")
    build(built, f"-DPADDLE_WHEEL_DIR={Path(paddle.origin).parent}", f"-DPYTHON_LIBRARY={python}")
    return built / "classify"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "paddle.nn.Layer"]:
    """A bundle of a real network, and the network."""
    folder = tmp_path_factory.mktemp("network")
    paddle.seed(3)
    layers = [paddle.nn.Conv2D(3, 8, 3), paddle.nn.BatchNorm2D(8), paddle.nn.ReLU()]
    net = paddle.nn.Sequential(*layers, paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.Flatten(), paddle.nn.Linear(8, 3))
    net.eval()
    for format in ("json", "pdmodel"):
        spec = paddle.static.InputSpec([-1, 3, 32, 32], "float32")
        paddle_api.save_program(net, folder / "inference", [spec], format)
    (folder / LABELS).write_text("\n".join(LABELLED) + "\n", encoding="utf-8")
    inputs = np.random.default_rng(2).standard_normal((3, 3, 32, 32), np.float32)
    write_golden(folder / GOLDEN, inputs, net(paddle.to_tensor(inputs)).numpy())
    return seal(folder, COLOUR), net


@pytest.mark.parametrize("backend", ["onednn", "native"])
@pytest.mark.parametrize("format", ["pdmodel", "json"])
def test_classify_agrees_with_dygraph(
    classify: Path, network: "tuple[Path, paddle.nn.Layer]", tmp_path: Path, backend: str, format: str
) -> None:
    folder, net = network
    images = [tmp_path / "a.ppm", tmp_path / "b.ppm"]
    for number, path in enumerate(images):
        picture(number).save(path)
    done = run(classify, folder, *images, "--backend", backend, "--format", format, "--top", 3)
    assert done.returncode == 0, done.stderr
    assert "batch 3" in done.stderr
    assert "batch 1" in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in images for _ in range(3)]
    for path in images:
        tensor = paddle.to_tensor(COLOUR(decode(path.read_bytes(), 3))[None])
        scores = paddle.nn.functional.softmax(net(tensor)).numpy()[0]
        found = [(row[1], float(row[2])) for row in rows if row[0] == str(path)]
        order = np.argsort(-scores)
        assert [label for label, _ in found] == [LABELLED[k] for k in order]
        np.testing.assert_allclose([score for _, score in found], scores[order], atol=1e-5)


def test_classify_scores_each_class_on_its_own_where_the_bundle_says_so(
    classify: Path, network: "tuple[Path, paddle.nn.Layer]", tmp_path: Path
) -> None:
    folder, net = Path(shutil.copytree(network[0], tmp_path / "bundle")), network[1]
    picture().save(tmp_path / "a.ppm")
    done = run(classify, seal(folder, COLOUR, "sigmoid"), tmp_path / "a.ppm", "--top", 3)
    assert done.returncode == 0, done.stderr
    found = [line.split("\t")[1:] for line in done.stdout.splitlines()]
    tensor = paddle.to_tensor(COLOUR(decode((tmp_path / "a.ppm").read_bytes(), 3))[None])
    scores = paddle.nn.functional.sigmoid(net(tensor)).numpy()[0]
    order = np.argsort(-scores)
    assert [label for label, _ in found] == [LABELLED[k] for k in order]
    np.testing.assert_allclose([float(score) for _, score in found], scores[order], atol=1e-5)


def test_classify_ends_with_3_when_golden_tensors_are_not_reproduced(
    classify: Path, network: "tuple[Path, paddle.nn.Layer]", tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(network[0], folder)
    with np.load(folder / GOLDEN) as golden:
        inputs, outputs = golden["inputs"], golden["outputs"]
    for wrong in (outputs * np.float32(1.001), np.full_like(outputs, np.nan), np.zeros_like(outputs)):
        write_golden(folder / GOLDEN, inputs, wrong)
        done = run(classify, seal(folder, COLOUR))
        assert done.returncode == 3, done.stderr
        assert "golden tensors" in done.stderr
    write_golden(folder / GOLDEN, inputs, outputs * np.float32(1.001))
    assert run(classify, seal(folder, COLOUR), "--limit", "0.01").returncode == 0


def test_classify_refuses_wrong_requests(
    classify: Path, network: "tuple[Path, paddle.nn.Layer]", tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(network[0], folder)
    for options in (["--format", "nb"], ["--threads", "0"], ["--top", "2x"], ["--limit"], ["--what", "1"]):
        assert run(classify, folder, *options).returncode == 2
    assert run(classify, folder, tmp_path / "none.ppm").returncode == 2
    (folder / PARAMS).write_bytes(bytes(reversed((folder / PARAMS).read_bytes())))
    done = run(classify, folder)
    assert done.returncode == 2
    assert PARAMS in done.stderr
    (folder / "inference.json").unlink()
    done = run(classify, seal(folder, COLOUR), "--format", "json")
    assert done.returncode == 2
    assert "no inference.json" in done.stderr
