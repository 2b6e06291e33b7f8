"""The configuration that files and streams stand on: what is wrong with it is said, and neither knows of the other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from downstream.detection.config import DetectConfig
from downstream.detection.live.settings import LiveSettings
from pretrain.errors import UserError
from tests.paths import ROOT

PACKAGE = ROOT / "downstream" / "detection"
LIVE = "downstream.detection.live"


def imports(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_all_that_is_wrong_is_said() -> None:
    with pytest.raises(UserError) as refused:
        DetectConfig(inputs=(), detector=Path("run"), films=-1, status_on_event=256)
    assert str(refused.value).splitlines() == [
        "films is -1; it must be 0 or more",
        "status_on_event is 256; exit statuses are 0 to 255",
        "nothing to score: give a video, a folder or a stream",
    ]
    with pytest.raises(UserError, match=r"live.play is set, and there are 2 inputs; it plays one"):
        DetectConfig(inputs=("a.mp4", "b.mp4"), detector=Path("run"), live=LiveSettings(play=True))


@pytest.mark.parametrize(
    ("inputs", "play", "is_live"),
    [(("rtsp://camera",), False, True), (("a.mp4",), True, True), (("a.mp4",), False, False)],
)
def test_a_stream_is_watched_and_a_file_where_it_is_played(inputs: tuple[str], play: bool, is_live: bool) -> None:
    config = DetectConfig(inputs=inputs, detector=Path("run"), live=LiveSettings(play=play))
    assert config.is_live == is_live


def test_files_know_nothing_of_streams_but_their_settings_and_streams_nothing_of_files() -> None:
    of_files = [file for file in sorted(PACKAGE.rglob("*.py")) if not file.is_relative_to(PACKAGE / "live")]
    assert {file.name for file in of_files} >= {"detect.py", "config.py", "events_json.py"}
    live = {(file.name, name) for file in of_files for name in imports(file) if name.startswith(LIVE)}
    assert live == {("config.py", f"{LIVE}.settings")}
    of_streams = sorted((PACKAGE / "live").rglob("*.py"))
    assert len(of_streams) > 10
    for file in of_streams:
        assert not imports(file) & {"downstream.detection.detect", "downstream.detection.output_files"}, file
