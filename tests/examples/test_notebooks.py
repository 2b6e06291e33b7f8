"""The notebooks run from the first cell to the last, in a process that shows what their author saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def code_cells(path: Path) -> list[str]:
    """The code of each cell, in order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    drawn: list[int] = []
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: drawn.append(len(plt.gcf().axes)))
    known: dict[str, object] = {"__name__": "__main__"}
    for cell in code_cells(path):
        exec(compile(cell, str(path), "exec"), known)
        plt.close("all")
    assert drawn == [1, 1]


def test_there_are_two_without_what_somebody_else_would_have_to_have() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_look", "train_a_detector"]
    for path in NOTEBOOKS:
        assert not [cell for cell in code_cells(path) if cell.startswith(("%", "!"))]
        assert path.stat().st_size < 300_000
