"""Configurations that come with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_pretext.copy_configs import first_sentence, listing, main
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


CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_each_says_what_it_is_for_in_one_sentence_that_holds_installed_too(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    sentence = first_sentence(text)
    whole = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert whole.startswith(sentence)
    assert len(sentence) < 240
    assert sentence.count("(") == sentence.count(")"), "cut within a sentence"
    assert "benchmarks" not in sentence, "an installed wheel has none"
    assert "benchmarks" not in whole or "n a checkout" in whole


def test_a_sentence_ends_with_its_full_stop_or_its_command() -> None:
    assert first_sentence("# A (B et al. 2019), of\n# two. Then more\na: 1\n# b\n") == "A (B et al. 2019), of two"
    assert (
        first_sentence("# Do: python scripts/x.py configs/a.yaml\n# The rest\n")
        == "Do: python scripts/x.py configs/a.yaml"
    )


@pytest.mark.parametrize("columns", [20, 60, 80, 120, 200])
def test_the_list_fits_the_terminal_and_loses_no_word(columns: int) -> None:
    lines = listing(CONFIGS, columns).splitlines()
    assert max(map(len, lines)) <= max(columns, max(map(len, " ".join(lines).split())) + 4)
    words = " ".join(lines).split()
    assert words == [w for p in CONFIGS for w in (p.name, *first_sentence(p.read_text(encoding="utf-8")).split())]
