"""Where the demonstration goes."""

from pathlib import Path

import demo
import pytest

from ppresnet.errors import RequestError


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    assert demo._new_folder(tmp_path / "deep" / "er") == tmp_path / "deep" / "er"
    assert demo._new_folder(tmp_path / "deep" / "er") == tmp_path / "deep" / "er"
    with pytest.raises(RequestError, match="expected a new folder"):
        demo._new_folder(tmp_path / "deep")
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="expected a new folder"):
        demo._new_folder(tmp_path / "file")
