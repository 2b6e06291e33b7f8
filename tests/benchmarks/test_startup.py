from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.startup import HEAVY, Answer, answer, main, table
from tests.paths import ROOT


def test_it_ends_with_a_result_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("benchmarks.startup.QUICK", ("scripts/doctor.py",))
    with pytest.raises(SystemExit):
        main(["--quick"])
    lines = capfd.readouterr().out.splitlines()
    result = json.loads(lines[-1].removeprefix("RESULT "))
    assert (result["heavy"], result["unanswered"]) == ([], [])
    told = result["commands"]["scripts/doctor.py"]
    assert told["help"]["cpu_seconds"] > 0
    assert told["wrong_flag"]["wall_seconds"] > 0
    assert told["help"]["modules"] > 100
    assert lines[1].startswith("scripts/doctor.py")


def test_what_is_heavy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "matplotlib"
    package.mkdir()
    (package / "__init__.py").touch()
    script = tmp_path / "command.py"
    script.write_text("import matplotlib")  # the one beside it
    found = answer(str(script), (), 1)
    assert found.heavy == ("matplotlib",)
    assert "matplotlib" in HEAVY
    assert "matplotlib" in table({"command": {"help": found, "wrong_flag": found}})
    assert isinstance(found, Answer)
    assert found.status == 0


def test_elsewhere_it_says_where_it_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "is not the root of the checkout" in capfd.readouterr().err
