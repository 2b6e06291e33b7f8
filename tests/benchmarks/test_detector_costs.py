from __future__ import annotations

import json

import pytest

from benchmarks.detector_costs import main


def test_a_small_run_measures_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--videos", "20", "--dim", "16", "--detectors", "mil_ranking", "--steps", "1", "--snippets", "5"])
    assert left.value.code == 0
    found = json.loads(capsys.readouterr().out.rsplit("RESULT ", 1)[1])
    cost = found["mil_ranking"]
    assert (cost["batch_size"], cost["segments"], cost["dim"]) == (60, 32, 16)
    assert cost["steps_per_second"] > 0
    # layers of 16 to 512, 32 and 1 numbers, and the 2 x 16 that standardise
    weights = 17 * 512 + 513 * 32 + 33 + 2 * 16
    assert cost["weight_megabytes"] == pytest.approx(4 * weights / 1e6, abs=1e-4)
