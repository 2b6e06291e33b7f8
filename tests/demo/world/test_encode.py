"""The files: encoded as recorders do, and the same for the same pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
from av.video.frame import PictureType

from demo.world.cameras import FPS, HEIGHT, WIDTH
from tests.demo.world.conftest import Truth
from tests.paths import ROOT


def test_videos_are_encoded_as_recorders_do(small_set: Path, truth: Truth) -> None:
    assert len(truth) == 4
    for facts in truth.values():
        with av.open(str(small_set / facts["path"])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
            assert stream.average_rate == FPS
            kinds = [int(frame.pict_type) for frame in container.decode(stream)]
        assert len(kinds) == facts["num_frames"]
        assert 12 * FPS <= len(kinds) <= 20 * FPS
        intra, between = int(PictureType.I), int(PictureType.B)
        assert kinds[0] == intra
        assert kinds.count(between) > len(kinds) / 4
        assert kinds.count(intra) <= 3


ENCODE_AGAIN = """
import sys
from pathlib import Path
from demo.world.encode import write_mp4
from demo.world.plan import make_plan
from demo.world.render import Filming, build_set

video = next(video for video in make_plan(0, 16, 6) if video.name == "Crash_camera08_000")
filming = Filming(build_set(0, video.camera), video, 0)
pictures = [filming.frame(index).copy() for index in range(60)]
files = [Path(sys.argv[1]) / f"{number}.mp4" for number in range(4)]
for file in files:
    write_mp4(file, pictures)
print(len({file.read_bytes() for file in files}))
"""


def test_the_same_pictures_always_give_the_same_file(tmp_path: Path) -> None:
    """In a process of its own, where with x264's macroblock tree these pictures gave four files in four encodings."""
    done = subprocess.run(
        [sys.executable, "-c", ENCODE_AGAIN, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
