"""What `read_bundle` accepts, and what it says of the rest."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import bundles
import numpy as np
import pytest
from paddle import nn

from ppresnet.bundle import (
    DEPLOY,
    GOLDEN,
    LABELS,
    MANIFEST,
    PDMODEL,
    Deploy,
    Site,
    list_files,
    read_bundle,
    read_golden,
)
from ppresnet.errors import BundleError
from ppresnet.files import write_manifest


@pytest.fixture(scope="module")
def net() -> nn.Layer:
    return bundles.small_net()


@pytest.fixture(scope="module")
def made(net: nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make_bundle(net, tmp_path_factory.mktemp("made"))


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def reseal(directory: Path) -> None:
    """Lists whatever stands there, so that only the contents can be objected to."""
    (directory / MANIFEST).unlink()
    write_manifest(directory)


def test_a_bundle_is_read_as_it_was_written(made: Path, net: nn.Layer) -> None:
    bundle = read_bundle(made)
    assert bundle.labels == tuple(f"class {index}" for index in range(5))
    assert bundle.formats == bundles.FORMATS
    assert bundle.deploy.spec == net.spec.model_dump(mode="json")
    assert bundle.deploy.sites[0] == Site(
        name="stem.conv", pattern="conv+bn+act", act="relu", parameter=net.stem.conv.weight.name
    )
    inputs, outputs = bundle.golden()
    np.testing.assert_array_equal(outputs, bundles.logits_of(net, inputs))
    assert Deploy.model_validate_json(bundle.deploy.dump()) == bundle.deploy


def with_deploy(directory: Path, change: dict[str, object], without: str = "") -> Path:
    """Return the bundle with other keys in its `deploy.json`, whole in everything else."""
    deploy = {**json.loads((directory / DEPLOY).read_bytes()), **change}
    deploy.pop(without, None)
    (directory / DEPLOY).write_text(json.dumps(deploy))
    reseal(directory)
    return directory


def test_an_older_bundle_has_no_activation_and_is_softmax(copy: Path) -> None:
    assert json.loads((copy / DEPLOY).read_bytes())["activation"] == "softmax"
    assert read_bundle(with_deploy(copy, {"activation": "sigmoid"})).deploy.activation == "sigmoid"
    assert read_bundle(with_deploy(copy, {}, without="activation")).deploy.activation == "softmax"


@pytest.mark.parametrize("activation", ["tanh", "", None, 1])
def test_other_activations_are_refused(copy: Path, activation: object) -> None:
    with pytest.raises(BundleError, match=r"deploy\.json: activation: .*'softmax' or 'sigmoid'.*; export the bundle"):
        read_bundle(with_deploy(copy, {"activation": activation}))


def test_every_file_but_deploy_json_and_the_manifest_is_listed_in_deploy_json(made: Path) -> None:
    on_disk = {path.name for path in made.iterdir()}
    assert set(read_bundle(made).deploy.files) == on_disk - {DEPLOY, MANIFEST}


def test_the_path_of_a_file_is_given_only_if_it_is_there(made: Path) -> None:
    assert read_bundle(made).file(PDMODEL) == made / PDMODEL
    with pytest.raises(BundleError, match=r"has no model\.onnx"):
        read_bundle(made).file("model.onnx")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle at .*nowhere"):
        read_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [DEPLOY, MANIFEST, LABELS, GOLDEN, PDMODEL])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", [DEPLOY, LABELS, GOLDEN, PDMODEL])
def test_a_missing_file_is_named_even_where_the_manifest_agrees(copy: Path, name: str) -> None:
    (copy / name).unlink()
    reseal(copy)
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


def test_an_unlisted_file_is_refused(copy: Path) -> None:
    (copy / "extra.txt").write_text("x", encoding="utf-8")
    with pytest.raises(BundleError, match=r"extra\.txt"):
        read_bundle(copy)


def test_a_file_that_only_the_manifest_knows_is_refused(copy: Path) -> None:
    (copy / "extra.txt").write_text("x", encoding="utf-8")
    reseal(copy)
    with pytest.raises(BundleError, match=r"disagree about extra\.txt"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [("schema_version", 2, "schema_version"), ("colour", "red", "colour"), ("inputs", [{"shape": "x"}], "inputs.0")],
)
def test_a_deploy_json_of_another_schema_is_refused(copy: Path, key: str, value: object, named: str) -> None:
    fields = json.loads((copy / DEPLOY).read_text(encoding="utf-8"))
    (copy / DEPLOY).write_text(json.dumps(fields | {key: value}), encoding="utf-8")
    reseal(copy)
    with pytest.raises(BundleError, match=named):
        read_bundle(copy)


def test_labels_must_be_as_many_as_classes(copy: Path, net: nn.Layer) -> None:
    for name in (MANIFEST, DEPLOY):
        (copy / name).unlink()
    (copy / LABELS).write_text("one\ntwo\n", encoding="utf-8")
    bundles.seal(copy, net)
    with pytest.raises(BundleError, match="expected 5 labels, one per class, found 2"):
        read_bundle(copy)


def test_labels_must_be_utf8(copy: Path, net: nn.Layer) -> None:
    for name in (MANIFEST, DEPLOY):
        (copy / name).unlink()
    (copy / LABELS).write_bytes(b"caf\xe9\n" * 5)
    bundles.seal(copy, net)
    with pytest.raises(BundleError, match=r"labels\.txt: expected UTF-8"):
        read_bundle(copy)


@pytest.mark.parametrize(
    "change", [{"outputs": []}, {"inputs": []}, {"outputs": [{"shape": [], "dtype": "float32"}]}], ids=str
)
def test_ports_without_a_shape_are_refused(copy: Path, change: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=next(iter(change))):
        read_bundle(with_deploy(copy, change))


GOOD = {"inputs": np.zeros((2, 3, 16, 16), np.float32), "outputs": np.zeros((2, 5), np.float32)}
BAD_GOLDEN = {
    "another name": ({"inputs": GOOD["inputs"], "logits": GOOD["outputs"]}, "expected the arrays inputs, outputs"),
    "one array": ({"inputs": GOOD["inputs"]}, "expected the arrays inputs, outputs"),
    "three arrays": ({**GOOD, "more": GOOD["outputs"]}, "3 members"),
    "another dtype": ({**GOOD, "outputs": np.zeros((2, 5))}, r"expected float32 \[n, 5\] by rows, found float64"),
    "another size": ({**GOOD, "inputs": np.zeros((2, 3, 8, 8), np.float32)}, r"expected float32 \[n, 3, 16, 16\]"),
    "by columns": ({**GOOD, "outputs": np.asfortranarray(GOOD["outputs"])}, "by rows"),
    "other counts": ({**GOOD, "outputs": np.zeros((3, 5), np.float32)}, "2 inputs and 3 outputs"),
    "no image": ({name: array[:0] for name, array in GOOD.items()}, "expected 1 to 64 images"),
    "many images": ({**GOOD, "outputs": np.zeros((4000, 5), np.float32)}, "at most"),
    "objects": ({**GOOD, "outputs": np.array([[None] * 5] * 2)}, "float32"),
}


@pytest.mark.parametrize(("arrays", "reason"), BAD_GOLDEN.values(), ids=BAD_GOLDEN)
def test_other_golden_tensors_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    np.savez(tmp_path / GOLDEN, **arrays)
    with pytest.raises(BundleError, match=reason):
        read_golden(tmp_path / GOLDEN, (-1, 3, 16, 16), (-1, 5))


def test_a_header_that_promises_too_much_and_bytes_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / GOLDEN
    np.savez(path, **GOOD)
    found = read_golden(path, (-1, 3, 16, 16), (-1, 5))
    assert [array.shape for array in found] == [(2, 3, 16, 16), (2, 5)]
    whole = path.read_bytes()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 5)})
    for outputs in (header.getvalue(), b"", b"\x93NUMPY\x01\x00\x05\x00{((((", whole):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("outputs.npy", outputs)
            with zipfile.ZipFile(io.BytesIO(whole)) as old:
                archive.writestr("inputs.npy", old.read("inputs.npy"))
        with pytest.raises(BundleError, match="golden tensors"):
            read_golden(path, (-1, 3, 16, 16), (-1, 5))
    path.write_bytes(b"no zip")
    with pytest.raises(BundleError, match="golden tensors"):
        read_golden(path, (-1, 3, 16, 16), (-1, 5))


def test_labels_keep_their_spaces(copy: Path, net: nn.Layer) -> None:
    for name in (MANIFEST, DEPLOY):
        (copy / name).unlink()
    labels = (" a", "b ", "", "d\u2028e", "\u00e4")
    (copy / LABELS).write_bytes(("\n".join(labels) + "\n").encode())
    bundles.seal(copy, net)
    assert read_bundle(copy).labels == labels


def test_listing_files_leaves_out_what_holds_the_list(made: Path) -> None:
    listed = list_files(made)
    assert listed == dict(read_bundle(made).deploy.files)
    assert listed[LABELS].size == (made / LABELS).stat().st_size
