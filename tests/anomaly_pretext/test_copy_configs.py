"""Configurations that come with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_pretext.copy_configs import main
from tests.paths import ROOT


def left_with(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_configurations_are_listed_and_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert left_with([]) == 0
    listed = capsys.readouterr().out
    assert all(path.name in listed for path in (ROOT / "configs").glob("*.yaml"))
    assert left_with(["features.yaml"]) == 0
    assert (tmp_path / "features.yaml").read_text() == (ROOT / "configs" / "features.yaml").read_text()
    assert left_with(["features.yaml"]) == 2
    assert "there is a features.yaml here already" in capsys.readouterr().err
    assert left_with(["nothing.yaml"]) == 2
    assert "one that comes with the program" in capsys.readouterr().err
