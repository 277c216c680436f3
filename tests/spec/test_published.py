"""Every model says where it comes from; the figures are those of the papers' tables."""

import re

import pytest

from ppresnet.spec import MODELS
from ppresnet.spec.published import PUBLISHED


def test_every_model_has_a_paper() -> None:
    assert set(PUBLISHED) == set(MODELS)
    assert [name for name, entry in PUBLISHED.items() if not re.fullmatch(r"arXiv:\d{4}\.\d{4,5}", entry.paper)] == []


def test_accuracies_are_percent_with_data_and_source() -> None:
    entries = [accuracy for entry in PUBLISHED.values() for accuracy in entry.accuracies]
    assert len(entries) > 50
    assert all(50 < one.top1 < 100 and one.data in ("CIFAR-10", "ImageNet") and one.source for one in entries)
    assert all(
        (one.data == "CIFAR-10") is (name.startswith("cifar_")) for name in PUBLISHED for one in PUBLISHED[name][1]
    )


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cifar_resnet20", 8.75),
        ("cifar_resnet110", 6.43),
        ("cifar_resnet1202", 7.93),
        ("cifar_preact_resnet110", 6.37),
        ("cifar_preact_resnet164", 5.46),
        ("cifar_preact_resnet1001", 4.92),
        ("cifar_wrn16_8", 4.27),
        ("cifar_wrn28_10", 4.00),
        ("cifar_resnext29_8x64d", 3.65),
        ("cifar_resnext29_16x64d", 3.58),
        ("cifar_densenet_bc100_12", 4.51),
    ],
)
def test_an_error_of_a_paper_becomes_top1(name: str, error: float) -> None:
    (reported,) = PUBLISHED[name].accuracies
    assert reported.top1 == pytest.approx(100 - error)
    assert reported.source == PUBLISHED[name].paper
