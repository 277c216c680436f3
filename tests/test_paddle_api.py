"""The one place for differences between Paddle versions."""

from pathlib import Path

import bundles
import paddle
import pytest

from ppresnet import paddle_api
from ppresnet.errors import RequestError


def test_json_came_with_paddle_3() -> None:
    assert paddle_api.has_json() == (int(paddle.__version__.split(".")[0]) >= 3)


def test_both_programs_share_their_parameters(tmp_path: Path) -> None:
    net = bundles.small_net()
    saved = []
    for format in bundles.FORMATS:
        bundles.save_programs(net, tmp_path, formats=(format,))
        saved.append((tmp_path / "inference.pdiparams").read_bytes())
        assert (tmp_path / f"inference.{format}").is_file()
    assert len(set(saved)) == 1
    assert paddle.in_dynamic_mode()


def test_json_is_refused_where_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_api, "has_json", lambda: False)
    with pytest.raises(RequestError, match=r"writes no \.json programs; use 'pdmodel'"):
        paddle_api.save_program(bundles.small_net(), tmp_path / "inference", [], "json")
