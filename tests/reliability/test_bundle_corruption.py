"""1,000 flipped bits and 100 cuts over a bundle: each is refused before anything is predicted."""

import random
import shutil
from pathlib import Path

import bundles
import pytest

from ppresnet.bundle import MANIFEST, read_bundle
from ppresnet.errors import BundleError

FLIPS, CUTS = 1000, 100


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = bundles.make_bundle(bundles.small_net(), tmp_path_factory.mktemp("made") / "bundle")
    read_bundle(made)
    return made


def drawn_byte(rng: random.Random, bundle: Path) -> tuple[Path, int]:
    """Half of the places are drawn over all bytes, half over all files, so that small files are hit too."""
    files = sorted(bundle.iterdir())
    sizes = [path.stat().st_size for path in files]
    path = rng.choices(files, sizes if rng.random() < 0.5 else None)[0]
    return path, rng.randrange(path.stat().st_size)


def assert_refused(bundle: Path, what: str) -> None:
    with pytest.raises(BundleError):
        read_bundle(bundle)
        pytest.fail(f"{what} was not noticed")


def test_every_flipped_bit_is_refused(bundle: Path) -> None:
    rng = random.Random(11)
    hit = set()
    for _ in range(FLIPS):
        path, place = drawn_byte(rng, bundle)
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        assert_refused(bundle, f"a flip in byte {place} of {path.name}")
        path.write_bytes(whole)
        hit.add(path.name)
    assert hit == {path.name for path in bundle.iterdir()}
    read_bundle(bundle)


def test_every_cut_is_refused(bundle: Path) -> None:
    rng = random.Random(12)
    for _ in range(CUTS):
        path, length = drawn_byte(rng, bundle)
        whole = path.read_bytes()
        path.write_bytes(whole[:length])
        assert_refused(bundle, f"a cut of {path.name} to {length} bytes")
        path.write_bytes(whole)
    read_bundle(bundle)


@pytest.mark.parametrize("name", ["deploy.json", MANIFEST, "labels.txt"])
def test_the_last_byte_counts(bundle: Path, name: str) -> None:
    path = bundle / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert_refused(bundle, f"the missing end of {name}")
    path.write_bytes(whole + b"\n")
    assert_refused(bundle, f"a byte too many in {name}")
    path.write_bytes(whole)
    read_bundle(bundle)


def test_a_refused_bundle_never_reaches_paddle(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.inference import predictor

    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    params = copy / "inference.pdiparams"
    data = bytearray(params.read_bytes())
    data[len(data) // 2] ^= 4
    params.write_bytes(data)
    monkeypatch.setattr(predictor, "Session", lambda *_: pytest.fail("a session was opened"))
    with pytest.raises(BundleError, match=r"inference\.pdiparams"):
        predictor.Predictor(copy)
