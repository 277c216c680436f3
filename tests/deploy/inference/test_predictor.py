"""The predictor against the network itself, from one thread and from many."""

import gc
import io
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bundles
import numpy as np
import psutil
import pytest
from paddle import nn
from PIL import Image
from scipy.special import expit, softmax

from deploy.inference import Predictor, Runtime, Session
from deploy.inference.predictor import sigmoid as our_sigmoid
from deploy.inference.predictor import softmax as our_softmax
from deploy.inference.session import check_output
from ppresnet.bundle import DEPLOY, GOLDEN, MANIFEST
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.pixels import BrokenImage

CALLS, THREADS = 500, 8


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Predictor:
    return Predictor(bundle, max_batch=4)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_logits_are_those_of_the_network_in_order(predictor: Predictor, net: nn.Layer, count: int) -> None:
    images = bundles.random_images(count)
    assert relative(predictor.logits(images), bundles.logits_of(net, images)) < 1e-5


def test_scores_are_the_softmax_of_the_logits(predictor: Predictor, net: nn.Layer) -> None:
    images = bundles.random_images(5)
    expected = softmax(bundles.logits_of(net, images).astype(np.float64), axis=1)
    scores = predictor(images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_scores_are_the_sigmoid_of_the_logits_where_the_bundle_says_so(
    bundle: Path, net: nn.Layer, tmp_path: Path
) -> None:
    several = Path(shutil.copytree(bundle, tmp_path / "several"))
    for name in (MANIFEST, DEPLOY):
        (several / name).unlink()
    predictor, images = Predictor(bundles.seal(several, net, "sigmoid")), bundles.random_images(5)
    scores = predictor(images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expit(bundles.logits_of(net, images).astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(predictor.logits(images), Predictor(bundle).logits(images), rtol=1e-5, atol=1e-6)
    assert predictor([]).shape == (0, 5)


def test_sigmoid_does_not_overflow() -> None:
    found = our_sigmoid(np.array([[1000.0, -1000.0, 0.0, -80.0]], np.float32))
    np.testing.assert_allclose(found, [[1.0, 0.0, 0.5, np.exp(-80.0)]], rtol=1e-5)


def test_softmax_does_not_overflow() -> None:
    np.testing.assert_allclose(our_softmax(np.array([[1000.0, 1000.0, -1000.0]], np.float32)), [[0.5, 0.5, 0.0]])


def test_no_image_gives_no_score(predictor: Predictor) -> None:
    assert predictor([]).shape == predictor(np.empty((0, 3, 16, 16), np.float32)).shape == (0, 5)


def test_pictures_and_files_are_preprocessed_alike(predictor: Predictor, net: nn.Layer, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    files = [tmp_path / f"{index}.png" for index in range(3)]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image).save(file)
    prepared = np.stack([bundles.PREPROCESS(image) for image in pixels])
    expected = predictor(prepared)
    np.testing.assert_array_equal(predictor(list(pixels)), expected)
    np.testing.assert_array_equal(predictor(files), expected)
    np.testing.assert_array_equal(predictor([str(files[0]), pixels[1], files[2]]), expected)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (np.zeros((1, 3, 16, 16)), r"expected preprocessed images of float32 \[n, 3, 16, 16\], found float64"),
        (np.zeros((1, 1, 16, 16), np.float32), r"found float32 \[1, 1, 16, 16\]"),
        (np.zeros((3, 16, 16), np.float32), r"found float32 \[3, 16, 16\]"),
        (np.zeros((1, 3, 16, 17), np.float32), r"found float32 \[1, 3, 16, 17\]"),
        ([np.zeros((8, 8, 1), np.uint8)], r"expected images of uint8 \[height, width, 3\]"),
        ([np.zeros((8, 8, 3), np.float32)], "found float32"),
        (["nowhere.png"], "no image at nowhere.png"),
    ],
)
def test_other_arrays_are_refused(predictor: Predictor, images: object, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        predictor(images)  # type: ignore[arg-type]


def test_a_broken_file_is_named_by_its_decoder(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(BrokenImage):
        predictor([tmp_path / "a.png"])


def test_max_batch_starts_at_one(bundle: Path) -> None:
    with pytest.raises(RequestError, match="max_batch: expected a number from 1 on, found 0"):
        Predictor(bundle, max_batch=0)


@pytest.mark.parametrize("format", bundles.FORMATS)
@pytest.mark.parametrize("backend", ["native", "onednn"])
def test_golden_tensors_hold_on_every_runtime(bundle: Path, backend: str, format: str) -> None:
    assert Predictor(bundle, backend, format=format).check_golden(1e-5) < 1e-5  # type: ignore[arg-type]


def test_golden_tensors_that_differ_are_noticed(bundle: Path, net: nn.Layer, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    inputs = bundles.random_images(4)
    np.savez(other / GOLDEN, inputs=inputs, outputs=bundles.logits_of(net, inputs) * 1.01)
    for name in (MANIFEST, DEPLOY):
        (other / name).unlink()
    with pytest.raises(CheckFailedError, match=r"golden tensors: expected a relative difference of at most 0\.0001"):
        Predictor(bundles.seal(other, net)).check_golden()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_cannot_be_right_is_refused(value: float) -> None:
    check_output(np.eye(3, dtype=np.float32), 3, "here")
    with pytest.raises(CheckFailedError, match="here: the output has NaN or infinity"):
        check_output(np.array([[1.0, value]], np.float32), 1, "here")
    with pytest.raises(CheckFailedError, match="here: the output is all zero"):
        check_output(np.zeros((2, 3), np.float32), 2, "here")
    with pytest.raises(CheckFailedError, match="here: 2 images gave 1 rows"):
        check_output(np.ones((1, 3), np.float32), 2, "here")


@pytest.mark.parametrize("format", bundles.FORMATS)
@pytest.mark.parametrize("backend", ["native", "onednn"])
def test_nan_weights_never_give_scores(tmp_path: Path, backend: str, format: str) -> None:
    net = bundles.small_net()
    net.head.fc.weight.set_value(net.head.fc.weight * float("nan"))
    session = Session(bundles.save_programs(net, tmp_path), Runtime(backend, format=format))  # type: ignore[arg-type]
    with pytest.raises(CheckFailedError, match="NaN"):
        session(bundles.random_images(1))


@pytest.mark.parametrize("format", bundles.FORMATS)
@pytest.mark.parametrize("backend", ["native", "onednn"])
def test_many_threads_give_what_one_gives(bundle: Path, backend: str, format: str) -> None:
    predictor = Predictor(bundle, backend, format=format, threads=1)  # type: ignore[arg-type]
    batches = [bundles.random_images(1 + index % 7, seed=index) for index in range(21)]
    alone = [predictor(batch) for batch in batches]

    def work(thread: int) -> float:
        order = np.random.default_rng(thread).integers(0, len(batches), CALLS)
        return max(float(np.abs(predictor(batches[index]) - alone[index]).max()) for index in order)

    with ThreadPoolExecutor(THREADS) as pool:
        assert max(pool.map(work, range(THREADS))) == 0.0


def memory_growth(session: Session, calls: int, sizes: tuple[int, ...]) -> float:
    """Return by how many MiB the process grew over calls that follow a warm-up of the same kind."""
    rng = np.random.default_rng(0)
    longest = np.ones((9, 3, 40, 40), np.float32)
    process = psutil.Process()
    before = 0
    for call in range(-400, calls):
        if call == 0:
            gc.collect()
            before = process.memory_info().rss
        size = int(rng.choice(sizes))
        session(np.ascontiguousarray(longest[: rng.integers(1, 10), :, :size, :size]))
    gc.collect()
    return (process.memory_info().rss - before) / 2**20


@pytest.mark.slow
@pytest.mark.parametrize("format", bundles.FORMATS)
@pytest.mark.parametrize("backend", ["native", "onednn"])
def test_memory_stays_where_it_is_over_10000_calls_of_changing_shapes(bundle: Path, backend: str, format: str) -> None:
    session = Session(bundle, Runtime(backend, format=format, threads=1))  # type: ignore[arg-type]
    assert memory_growth(session, 10_000, tuple(range(8, 41, 2))) <= 50


def run_module(bundle: Path, *arguments: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.inference", "--model", bundle, "--threads", 1, *arguments]
    return subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index, image in enumerate(np.random.default_rng(6).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)):
        Image.fromarray(image).save(folder / f"{index}.png")
    (folder / "3.txt").write_text("not a picture", encoding="utf-8")
    return folder


def test_a_folder_is_classified_and_what_is_no_image_is_reported(
    bundle: Path, pictures: Path, predictor: Predictor, tmp_path: Path
) -> None:
    done = run_module(bundle, "--input", pictures, "--json", tmp_path / "out.json", "--top-k", 2)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [Path(row["file"]).name for row in found["results"]] == ["0.png", "1.png", "2.png"]
    assert [Path(row["file"]).name for row in found["broken"]] == ["3.txt"]
    expected = predictor([pictures / f"{index}.png" for index in range(3)])
    for row, scores in zip(found["results"], expected, strict=True):
        assert row["labels"] == [f"class {index}" for index in np.argsort(-scores)[:2]]
        np.testing.assert_allclose(row["scores"], np.sort(scores)[::-1][:2], atol=1e-6)
    assert done.stdout.count("\n") == 3
    assert "3.txt" in done.stderr


def test_a_stream_of_names_is_answered_line_by_line(bundle: Path, pictures: Path) -> None:
    names = io.StringIO()
    print(pictures / "2.png", pictures / "gone.png", "", pictures / "0.png", sep="\n", file=names)
    done = run_module(bundle, "--input", "-", "--backend", "native", stdin=names.getvalue())
    assert done.returncode == 0, done.stderr
    assert [Path(line.split("\t")[0]).name for line in done.stdout.splitlines()] == ["2.png", "0.png"]
    assert "gone.png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--input", "nowhere"), "found nothing at nowhere"),
        (("--input", "-", "--precision", "fp16"), "'fp16' would change nothing"),
    ],
)
def test_wrong_requests_end_with_2(bundle: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_module(bundle, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_altered_bundle_ends_with_2(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    altered = Path(shutil.copytree(bundle, tmp_path / "altered"))
    (altered / "labels.txt").write_bytes(b"x" + (altered / "labels.txt").read_bytes()[1:])
    done = run_module(altered, "--input", pictures)
    assert done.returncode == 2
    assert "labels.txt does not match its sha256" in done.stderr
