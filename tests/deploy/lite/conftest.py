"""The small bundle, converted once for each option."""

from collections.abc import Callable
from pathlib import Path

import bundles
import pytest

from deploy.lite.conversion import Source
from deploy.lite.options import Options
from ppresnet.bundle import PARAMS, PDMODEL, Bundle, read_bundle

Convert = Callable[[str, str], tuple[Path, Path]]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Three basic blocks and a bottleneck, five classes."""
    return read_bundle(bundles.make_bundle(bundles.small_net(), tmp_path_factory.mktemp("lite") / "bundle"))


@pytest.fixture(scope="session")
def source(python: Path, bundle: Bundle) -> Source:
    """The program of the bundle."""
    return Source(python, bundle.file(PDMODEL), bundle.file(PARAMS), timeout=120)


@pytest.fixture(scope="session")
def convert(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """Converts the bundle, each option once: the `.nb` and the folder of the readable form. Nothing is refused."""
    made: dict[tuple[str, str], tuple[Path, Path]] = {}

    def once(target: str, precision: str = "fp32") -> tuple[Path, Path]:
        if (target, precision) not in made:
            folder = tmp_path_factory.mktemp("converted")
            options = Options(target, precision)
            made[target, precision] = (
                source.nb(options, folder / "model"),
                source.protobuf(options, folder / "program"),
            )
        return made[target, precision]

    return once
