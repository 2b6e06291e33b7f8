"""What the benchmark says of a run, and that its cameras play; its figures depend on the machine's mood."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import av

from benchmarks.camera_server import FPS, _Server, write_footage
from benchmarks.cameras import CamerasBenchmarkConfig, Seen, is_jpeg, results, table


def test_a_camera_plays_its_footage_over_and_over_with_times_that_go_on(tmp_path: Path) -> None:
    footage = tmp_path / "footage.mp4"
    write_footage(footage, 1, 0)
    server = _Server(0, footage)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    times = []
    with av.open(f"http://127.0.0.1:{server.server_address[1]}/live", options={"analyzeduration": "100000"}) as stream:
        for frame in stream.decode(video=0):
            times.append(frame.time)
            if len(times) > FPS + 3:
                break
    server.shutdown()
    server.server_close()
    steps = [b - a for a, b in pairwise(times)]
    assert max(abs(step - 1 / FPS) for step in steps) < 1e-3


def test_results_say_what_was_seen(tmp_path: Path) -> None:
    seen = Seen(seconds=[float(n) for n in range(100)], memory_mb=[500.0 + 10 * (n < 20) for n in range(100)])
    seen.latest_frame = 0.7
    seen.posted = [{"picture": {"type": "image/jpeg", "base64": "/9j/4AAQ"}}, {}]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "events.jsonl").write_text("".join(f'{{"kind": "{kind}"}}\n' for kind in ("begun", "ended")))
    found = results(seen, 0, tmp_path, has_broker=False)
    assert (found["memory_growth_mb"], found["memory_mb"], found["memory_peak_mb"]) == (0.0, 500.0, 510.0)
    assert (found["alarms"], found["told"], found["posted"], found["posted_with_pictures"]) == (1, 2, 2, 1)
    assert found["mqtt_messages"] is None
    assert json.loads(json.dumps(found)) == found
    assert "4 cameras" in table(4, 99.0, CamerasBenchmarkConfig(), found)
    assert not is_jpeg(None)
