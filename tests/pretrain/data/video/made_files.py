"""The kinds of files that readers are tried on, and damage that only decoding can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pretrain.data.video.build_index import build_index

X264 = "keyint=12:min-keyint=12:scenecut=0"
STREAMS: dict[str, tuple[str, dict[str, str]]] = {
    "closed.mp4": ("libx264", {"x264-params": X264}),
    "pyramid.mkv": ("libx264", {"x264-params": f"{X264}:bframes=4:b-pyramid=normal"}),
    "open_gop.mp4": ("libx264", {"x264-params": f"{X264}:open-gop=1:bframes=4"}),
    "open_gop.ts": ("libx264", {"x264-params": f"{X264}:open-gop=1:bframes=4"}),
    "refresh.ts": ("libx264", {"x264-params": f"{X264}:intra-refresh=1:bframes=2"}),
    "interlaced.mp4": ("libx264", {"x264-params": f"{X264}:tff=1"}),
    "zero_latency.flv": ("libx264", {"x264-params": X264, "tune": "zerolatency"}),
    "raw.h264": ("libx264", {"x264-params": X264}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=12:bframes=3:log-level=none"}),
    "hevc_open.mkv": ("libx265", {"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none"}),
    "mpeg4_b.avi": ("mpeg4", {"bf": "2", "g": "12"}),
    "mpeg4_b.mp4": ("mpeg4", {"bf": "2", "g": "12"}),
    "mpeg2_b.mpg": ("mpeg2video", {"bf": "2", "g": "12"}),
    "vp8.webm": ("libvpx", {"g": "12", "deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "8"}),
    "vp9.webm": ("libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "8"}),
    "wmv2.asf": ("wmv2", {"g": "12"}),
}


def damage(path: Path, packets: range) -> None:
    """Overwrite the pictures of some packets with noise, leaving their sizes: only decoding can tell."""
    size = build_index(str(path)).size
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    for packet in packets:
        first, last = start + int(size[:packet].sum()) + 12, start + int(size[: packet + 1].sum())
        data[first:last] = np.random.default_rng(packet).bytes(last - first)
    path.write_bytes(data)
