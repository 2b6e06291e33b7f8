"""Small real videos for tests: blobs that drift over a textured background, encoded with H.264."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def encode_video(path: Path, seed: int, num_frames: int = 80, height: int = 48, width: int = 72, gop: int = 30) -> Path:
    """Write one video; content and motion follow from the seed."""
    rng = np.random.default_rng(seed)
    background = rng.integers(60, 160, (height, width, 3), dtype=np.uint8)
    position, velocity = rng.uniform(8, 40, 2), rng.uniform(0.3, 1.2, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": str(gop), "preset": "ultrafast", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(num_frames):
            frame = background.copy()
            y, x = (position + index * velocity).astype(int) % (height - 8, width - 8)
            frame[y : y + 8, x : x + 8] = (240, 30 + 2 * index % 200, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def encode_folder(folder: Path, count: int = 6, **options: int) -> Path:
    """Write `count` videos `clip0.mp4`, ... into `folder`."""
    for index in range(count):
        encode_video(folder / f"clip{index}.mp4", index, **options)
    return folder
