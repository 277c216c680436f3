"""What `read_bundle` accepts, and what it says of the rest."""

import json
import shutil
from pathlib import Path

import bundles
import numpy as np
import pytest
from paddle import nn

from ppresnet.bundle import DEPLOY, GOLDEN, LABELS, MANIFEST, PDMODEL, Deploy, Site, list_files, read_bundle
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
