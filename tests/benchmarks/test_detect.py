"""The benchmark runs and its last line can be read. Its figures are not tested: they depend on the machine's mood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import detect as benchmark
from benchmarks.detect import Cost, factor, main, on_cores, peak_mb, result, table

COSTS = {
    "start": Cost(seconds=4.0, footage=1.0, peak_mb=700.0),
    "file": Cost(seconds=14.0, footage=201.0, peak_mb=800.0),
    "stream": Cost(seconds=29.0, footage=201.0, peak_mb=720.0),
    "longer file": Cost(seconds=54.0, footage=1201.0, peak_mb=805.5),
}


def test_factors_leave_out_what_a_process_needs_to_start() -> None:
    assert factor(COSTS["file"], COSTS["start"]) == 20
    assert result(COSTS) == {
        "realtime_factor": 20.0,
        "peak_rss_mb": 800.0,
        "stream_factor": 8.0,
        "stream_peak_rss_mb": 720.0,
        "growth_mb": 5.5,
    }
    lines = table(benchmark.DetectBenchmarkConfig(cells=True), COSTS).splitlines()
    assert lines[1].endswith("small3d, multi_scale, cells, by place, 2 core(s)")
    assert [line.split() for line in lines[3:5]] == [
        ["start", "1", "4.00", "0.2", "700"],
        ["file", "201", "14.00", "20.0", "14.4", "800"],
    ]


def test_where_the_system_tells_no_memory_there_is_none() -> None:
    untold = {name: cost._replace(peak_mb=None) for name, cost in COSTS.items()}
    assert result(untold)["peak_rss_mb"] is result(untold)["growth_mb"] is None
    assert table(benchmark.DetectBenchmarkConfig(), untold).splitlines()[-1].endswith("?")
    assert peak_mb(2**30) is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_the_peak_is_that_of_the_process_itself() -> None:
    ballast = b"x" * (300 << 20)  # a fork of this process would count it
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        peak = peak_mb(child.pid)
        assert peak is not None
        assert 0 < peak < 100 < len(ballast) / 1e6
        own = peak_mb(os.getpid())
        assert own is not None
        assert own > len(ballast) / 1e6
    finally:
        child.communicate(b"\n")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity")
def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with on_cores(1):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_all_of_it_ends_with_a_result_line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file through the real command; the rest would only take longer."""
    write = benchmark.write_clips
    monkeypatch.setattr(benchmark, "write_clips", lambda to, count, _, seed: write(to, count, (1, 1), seed))
    calls: list[tuple[str, bool]] = []
    real = benchmark.detect

    def once(video: Path, detector: Path, out: Path, is_stream: bool) -> Cost:
        calls.append((video.name, is_stream))
        if len(calls) > 1:
            return Cost(5.0, 60.0, 700.0)
        return real(video, detector, out, is_stream)

    monkeypatch.setattr(benchmark, "detect", once)
    with pytest.raises(SystemExit) as caught:
        main(["--quick", "--cells", "--cores", "1", "--minutes", "0.05", "--long-minutes", "0.1", "--hours", "0.002"])
    assert not caught.value.code
    lines = capfd.readouterr().out.splitlines()
    found: Mapping[str, float] = json.loads(lines[-1].removeprefix("RESULT "))
    assert set(found) == set(result(COSTS))
    assert lines[-2].split()[:3] == ["0.002", "h", "file"]
    assert calls == [("clip00.mp4", False), ("3s.mp4", False), ("3s.mp4", True), ("6s.mp4", False), ("7.2s.mp4", False)]


def test_a_command_that_fails_is_no_figure(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(RuntimeError, match=r"left with 2:\n(.|\n)*there is no file or folder"):
        benchmark.detect(tmp_path / "x.mp4", tmp_path / "gone", tmp_path / "out", is_stream=False)


def test_wrong_options_are_all_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--cores", "0", "--minutes", "-1"])
    assert caught.value.code == 2
    message = capfd.readouterr().err
    assert "cores is 0; it must be at least 1" in message
    assert "minutes is -1.0; it must be above 0" in message
