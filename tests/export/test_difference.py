"""The leaves that differ between two values of JSON; whole bundles are compared in tests/tools/test_benchmark.py."""

import pytest

from ppresnet.export.difference import changed


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 2]}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({"a": 1}, {"c": 2}, [("a", 1, None), ("c", None, 2)]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}, 4]}, [("a[1].b", 2, 3), ("a[2]", None, 4)]),
        ([[1], [2]], [[1]], [("[1]", [2], None)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("a", [1], {"b": 1})]),
        ({}, {}, []),
    ],
)
def test_every_changed_leaf_has_its_path(
    before: object, after: object, expected: list[tuple[str, object, object]]
) -> None:
    assert changed(before, after) == [{"path": path, "before": old, "after": new} for path, old, new in expected]
