from __future__ import annotations

import hashlib
import io
import os
from fractions import Fraction

import av
import numpy as np

from pretrain.data.x264 import REPEATABLE


def encoded(pictures: np.ndarray, rng: np.random.Generator) -> str:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", Fraction(25), {"preset": "veryfast", "crf": "23"} | REPEATABLE)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv420p"
        garbage = []
        for picture in pictures:
            garbage.append(os.urandom(int(rng.integers(1, 200_000))))  # other memory each time
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return hashlib.sha256(target.getvalue()).hexdigest()


def test_the_same_pictures_make_the_same_bytes() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (24, 120, 212, 3), np.uint8)
    noise[:, 80:] = 30  # a flat bar below
    assert len({encoded(noise, rng) for _ in range(4)}) == 1


def test_neither_cores_nor_instructions_decide() -> None:
    assert int(REPEATABLE["threads"]) >= 1  # "auto" would be the machine's
    assert "cpu-independent=1" in REPEATABLE["x264-params"]
