"""The command line of scripts/compare.py."""

from __future__ import annotations

import pytest

from scripts.compare import main


def test_no_features_and_unknown_detectors_are_one_message_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        ([], "no features were given"),
        (["nowhere", "--detectors", "rtfn"], "'rtfn'; did you mean 'rtfm'?"),
        (["nowhere", "--detectors", "rtfm", "rtfm"], "give each once"),
        (["nowhere", "--cost-steps", "-1"], "cost_steps is -1; it must be 0 (cost is not measured) or more"),
    ):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        assert said in " ".join(capsys.readouterr().err.replace("│", " ").replace("|", " ").split())


def test_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit) as left:
        main(["nowhere"])
    assert left.value.code == 2
    assert "starts its own processes" in capsys.readouterr().err
