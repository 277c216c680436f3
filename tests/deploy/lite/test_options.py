"""Requests that Lite would answer with exit code 0 and a wrong network are refused, each with its reason."""

from contextlib import suppress

import pytest

from deploy.lite.options import PRECISIONS, TARGETS, Options, check
from ppresnet.errors import RequestError

REFUSED = [
    (Options("arm,opencl"), False, ("does not add", "use opencl,arm")),
    (Options("x86,opencl"), False, ("does not add", "opencl,arm or x86")),
    (Options("opencl, arm"), False, ("without spaces", "did you mean 'opencl,arm'")),
    (Options("arm "), False, ("did you mean 'arm'",)),
    (Options("amr"), False, ("did you mean 'arm'",)),
    (Options("cuda"), False, ("expected one of arm | opencl,arm | x86",)),
    (Options("arm", "int4"), False, ("expected one of", "int8")),
    (Options("x86", "int8-weights"), False, ("zeros or NaN", "use arm")),
    (Options("x86", "int16-weights"), False, ("zeros or NaN", "use arm")),
    (Options("x86", "fp16"), False, ("changes nothing",)),
    (Options("x86", "int8"), True, ("NaN", "use arm")),
    (Options("opencl,arm", "fp16"), False, ("aborts", "set_opencl_precision")),
    (Options("opencl,arm", "int8"), True, ("no int8 convolution", "use arm")),
    (Options("arm", "int8"), False, ("quantised program", "quant_post_static", "--program")),
    (Options("arm"), True, ("expected --precision int8, found fp32",)),
    (Options("arm", "int8-weights"), True, ("expected --precision int8",)),
    (Options("arm", sparse=1.5), False, ("between 0 and 1",)),
    (Options("x86", sparse=0.6), False, ("ARM's fp32",)),
    (Options("arm", "fp16", sparse=0.6), False, ("ARM's fp32",)),
]


@pytest.mark.parametrize(("options", "quantised", "says"), REFUSED, ids=lambda value: getattr(value, "label", None))
def test_what_lite_does_wrong_is_refused(options: Options, quantised: bool, says: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        check(options, quantised)
    for part in says:
        assert part in str(caught.value)


def let_through(sparse: float | None) -> set[tuple[str, str]]:
    found = set()
    for target in TARGETS:
        for precision in PRECISIONS:
            with suppress(RequestError):
                check(Options(target, precision, sparse), quantised=precision == "int8")
                found.add((target, precision))
    return found


def test_everything_else_is_let_through() -> None:
    on_opencl = {("opencl,arm", precision) for precision in ("fp32", "int8-weights", "int16-weights")}
    assert let_through(None) == {("arm", precision) for precision in PRECISIONS} | on_opencl | {("x86", "fp32")}
    assert let_through(0.6) == {("arm", "fp32")}
