"""The command: a whole folder when everything holds, and nothing at all when something does not."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from deploy.lite import convert, verify
from deploy.lite.report import LiteReport
from ppresnet import cli, files
from ppresnet.bundle import DEPLOY, GOLDEN, MANIFEST, PDMODEL, Bundle, Deploy, list_files
from ppresnet.errors import BundleError, DataError, PpresnetError, RequestError
from ppresnet.export.golden import write_golden
from ppresnet.files import write_manifest
from ppresnet.pixels import Preprocess


def run(bundle: Path, output: Path, *options: str) -> int:
    arguments = ["--model", str(bundle), "--output", str(output), "--json", str(output) + ".json", *options]
    return cli.run(convert.main, convert.parse(arguments))


def reseal(folder: Path) -> None:
    """Make a bundle hold again after a file of it was changed on purpose."""
    deploy = Deploy.model_validate_json((folder / DEPLOY).read_bytes())
    for name in (DEPLOY, MANIFEST):
        (folder / name).unlink()
    (folder / DEPLOY).write_text(deploy.model_copy(update={"files": list_files(folder)}).dump())
    write_manifest(folder)


@pytest.fixture(scope="module")
def arm(python: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("arm") / "board"
    assert run(bundle.path, output, "--target", "arm", "--sizes") == 0
    return output


@pytest.fixture(scope="module")
def x86(python: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("x86") / "board"
    assert run(bundle.path, output, "--target", "x86") == 0
    return output


def test_the_folder_is_whole(arm: Path, bundle: Bundle) -> None:
    files.verify_manifest(arm, BundleError)
    report = LiteReport.model_validate_json((arm / "lite.json").read_bytes())
    assert (report.target, report.precision, report.lite_version) == ("arm", "fp32", "v2.12")
    assert report.executed == "converted, audited, not executed"
    assert report.size_bytes == (arm / "model.nb").stat().st_size
    assert report.source["program_sha256"] == bundle.deploy.files[PDMODEL].sha256
    assert (arm / GOLDEN).read_bytes() == bundle.file(GOLDEN).read_bytes()
    assert (arm / "labels.txt").read_text().splitlines() == list(bundle.labels)
    for name, entry in report.files.items():
        assert hashlib.sha256((arm / name).read_bytes()).hexdigest() == entry.sha256
    listed = {path.relative_to(arm).as_posix() for path in arm.rglob("*") if path.is_file()}
    assert listed == report.files.keys() | {"lite.json", MANIFEST}
    assert {"cpp/pixels.cpp", "cpp/main.cpp", "cpp/CMakeLists.txt", "tailoring/.tailored_ops_list"} <= listed
    assert len((arm / "README.md").read_text().splitlines()) == 5


def test_the_json_has_the_keys_of_the_contract(arm: Path) -> None:
    found = json.loads(arm.with_suffix(".json").read_text())
    assert found["ops"]["conv2d"] == 12
    assert found["size_bytes"] == (arm / "model.nb").stat().st_size
    assert {row["status"] for row in found["parity"]} == {"ok"}
    assert [row["batch"] for row in found["parity"]] == [1, 4]


def test_sizes_fall_with_the_bits(arm: Path) -> None:
    sizes = {row["option"]: row["size_bytes"] for row in json.loads(arm.with_suffix(".json").read_text())["sizes"]}
    assert len(sizes) == 8
    assert sizes["arm int8-weights"] < sizes["arm int16-weights"] < sizes["arm fp32"]


def test_the_tailoring_lists_name_the_operators(arm: Path) -> None:
    operators = (arm / "tailoring" / ".tailored_ops_list").read_text().split()
    assert {"conv2d", "fusion_elementwise_add_activation", "pool2d"} <= set(operators)
    assert "batch_norm" not in operators
    assert "conv2d,kARM,kFloat,kNCHW,def" in (arm / "tailoring" / ".tailored_kernels_list").read_text().split()


def test_an_older_folder_is_replaced_and_a_foreign_one_is_not(x86: Path, bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(x86, tmp_path / "board")
    assert run(bundle.path, tmp_path / "board", "--target", "arm") == 0
    assert LiteReport.model_validate_json((tmp_path / "board" / "lite.json").read_bytes()).target == "arm"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert run(bundle.path, tmp_path / "mine", "--target", "arm") == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_bundle_whose_golden_tensors_are_others_ends_with_3_and_leaves_nothing(
    python: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.path, folder)
    images, logits = bundle.golden()
    for wrong in (logits * np.float32(1.001), np.zeros_like(logits), np.full_like(logits, np.nan)):
        write_golden(folder / GOLDEN, images, wrong)
        reseal(folder)
        assert run(folder, tmp_path / "board", "--target", "arm") == 3
        assert "parity" in capsys.readouterr().err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["board.json", "bundle"]
        assert json.loads((tmp_path / "board.json").read_text())["failures"]


def test_a_site_that_is_not_fused_ends_with_3(
    python: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.path, folder)
    described = json.loads((folder / DEPLOY).read_text())
    described["sites"][1]["parameter"] = "no_such_filter"
    (folder / DEPLOY).write_text(json.dumps(described))
    reseal(folder)
    assert run(folder, tmp_path / "board", "--target", "arm") == 3
    assert "no_such_filter" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", "arm,opencl"], "does not add"),
        (["--target", "x86,opencl"], "does not add"),
        (["--target", "x86", "--precision", "int8-weights"], "zeros or NaN"),
        (["--target", "arm", "--precision", "int8"], "quantised program"),
        (["--target", "arm", "--program", "inference.json"], "cannot read the .json"),
        (["--target", "arm", "--program", "none.pdmodel"], "no file"),
        (["--target", "arm", "--program", "inference.pdiparams"], "inference.pdiparams is no Paddle program"),
    ],
)
def test_wrong_requests_end_with_2_before_lite_is_asked(
    bundle: Bundle,
    tmp_path: Path,
    options: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(convert, "prepare", lambda say: pytest.fail("Lite was asked"))
    monkeypatch.chdir(bundle.path)
    assert run(bundle.path, tmp_path / "board", *options) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_not_replaced_by_its_own_conversion(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(convert, "prepare", lambda say: pytest.fail("Lite was asked"))
    for output in (bundle.path, bundle.path.parent):
        arguments = ["--model", str(bundle.path), "--output", str(output), "--target", "arm"]
        assert cli.run(convert.main, convert.parse(arguments)) == 2
        assert "would replace" in capsys.readouterr().err
    files.verify_manifest(bundle.path)


def test_without_an_interpreter_it_ends_with_2_and_says_how_to_get_one(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "setup.sh").write_text("exit 2")
    real = convert.prepare
    monkeypatch.setattr(convert, "prepare", lambda say: real(say, tmp_path))
    assert run(bundle.path, tmp_path / "board", "--target", "arm") == 2
    assert "pyenv install 3.7" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()


def test_a_worker_that_takes_too_long_leaves_nothing(
    python: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bundle.path, tmp_path / "board", "--target", "arm", "--timeout", "0.01") == 1
    assert "took longer than 0.01 s" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.5, 3.0, 4.0])
def test_a_killed_command_leaves_no_folder_and_no_worker(
    python: Path, bundle: Bundle, tmp_path: Path, seconds: float
) -> None:
    import psutil

    command = [sys.executable, convert.__file__, "--model", str(bundle.path), "--target", "arm", "--sizes"]
    process = subprocess.Popen([*command, "--output", str(tmp_path / "board")], cwd=tmp_path)
    time.sleep(seconds)
    mine = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(10)
    _, alive = psutil.wait_procs(mine, timeout=10)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert not (tmp_path / "board").exists() or files.verify_manifest(tmp_path / "board") is None
    assert run(bundle.path, tmp_path / "board", "--target", "arm") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board", "board.json"]


def test_verify_runs_what_can_run_here(x86: Path, arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verify.main(verify.parse(["--folder", str(x86)]))
    assert isinstance(found, dict)
    assert [row["status"] for row in found["parity"]] == ["ok", "ok"]
    verify.main(verify.parse(["--folder", str(arm)]))
    assert "converted, audited, not executed" in capsys.readouterr().err


def test_verify_compares_first_classes_on_images(x86: Path, bundle: Bundle, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(4)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(tmp_path / f"{number}.png")
    options = ["--folder", str(x86), "--model", str(bundle.path), "--images", str(tmp_path)]
    found = verify.main(verify.parse(options))
    assert isinstance(found, dict)
    assert found["top1_agreement"] == 100.0


def test_verify_takes_images_only_and_names_the_one_that_is_broken(tmp_path: Path) -> None:
    from PIL import Image

    how = Preprocess(input_size=8, in_channels=3, mean=(0.5,) * 3, std=(0.2,) * 3)
    (tmp_path / "notes.txt").write_text("which images these are")
    with pytest.raises(RequestError, match="no image below"):
        verify._images(tmp_path, 10, how)
    for number in range(3):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{number}.png")
    assert verify._images(tmp_path, 2, how).shape == (2, 3, 8, 8)
    (tmp_path / "1.png").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"1\.png cannot be read"):
        verify._images(tmp_path, 2, how)


def test_verify_refuses_altered_folders(x86: Path, arm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "board"
    for name in ("model.nb", "lite.json", GOLDEN, "tailoring/.tailored_ops_list"):
        shutil.copytree(x86, folder)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(PpresnetError, match=re.escape(name)):
            verify.main(verify.parse(["--folder", str(folder)]))
        shutil.rmtree(folder)


def test_verify_refuses_an_arm_network_that_is_called_x86(x86: Path, arm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "board"
    shutil.copytree(x86, folder)
    shutil.copyfile(arm / "model.nb", folder / "model.nb")
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    with pytest.raises(BundleError, match=r"says x86, and model\.nb is for arm"):
        verify.main(verify.parse(["--folder", str(folder)]))
