"""What the parser says of wrong flags is said once, and to torchrun's agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pretrain.config import PretrainConfig
from pretrain.elastic import ERROR_FILE
from pretrain.wrong_flags import from_flags


@pytest.mark.parametrize("rank", [None, "0", "1"])
@pytest.mark.parametrize("by_agent", [False, True])
def test_one_of_several_processes_says_it_and_the_agent_hears_it(
    rank: str | None,
    by_agent: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    if by_agent:
        monkeypatch.setenv(ERROR_FILE, str(tmp_path / "error.json"))
    with pytest.raises(SystemExit) as left:
        from_flags(PretrainConfig, ["--nonsense"], "pretrain.py")
    assert left.value.code == 2
    assert ("Unrecognized options: --nonsense" in capsys.readouterr().err) == (rank != "1")
    if by_agent:
        told = json.loads((tmp_path / "error.json").read_text())["message"]["message"].splitlines()
        assert told[:2] == ["error: Unrecognized options", "Unrecognized options: --nonsense"]
