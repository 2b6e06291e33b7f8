"""What a feature set holds, in words."""

from __future__ import annotations

from collections import Counter

from downstream.features.store import FeatureSet


def describe(features: FeatureSet) -> list[str]:
    """Kind, videos, snippets and bytes of a set, a line each."""
    spec, videos = features.spec, list(features.videos.values())
    lengths = [video.snippets for video in videos]
    frames = Counter(video.snippet_frames for video in videos)
    spans = ", ".join(
        f"{'evenly divided' if n is None else f'{n} frames'} ({c} videos)" for n, c in frames.most_common(4)
    )
    dtype = features.read(videos[0].name).dtype
    num_bytes = sum(lengths) * spec.places * spec.dim * dtype.itemsize
    rows = {
        "set": str(features.folder),
        "encoder": f"{spec.encoder}, weights {spec.weights_sha256 or 'unknown'}",
        "numbers": f"{spec.dim} a snippet and {'crop' if spec.grid is None else 'cell'}, {dtype}",
        **_places(features),
        "preprocessing": spec.describe_preprocessing(),
        "videos": f"{len(videos)}, frames known of {sum(video.frames is not None for video in videos)}",
        "snippets": f"{sum(lengths)}, {min(lengths)} to {max(lengths)} a video",
        "snippet": spans + (f" and {len(frames) - 4} other lengths" if len(frames) > 4 else ""),
        "bytes": f"{num_bytes} ({num_bytes / 1e6:.1f} MB)",
    }
    return [f"  {label:<13} {value}" for label, value in rows.items()]


def _places(features: FeatureSet) -> dict[str, str]:
    """What a snippet's vectors are of: the crops' names, or the grid and the part of the picture that it divides."""
    spec = features.spec
    if spec.grid is None:
        return {"crops": f"{len(spec.crops)}: {', '.join(spec.crops)}"}
    parts = Counter((video.size, video.seen) for video in features.videos.values())
    (size, seen), count = parts.most_common(1)[0]
    where = "unknown"
    if size is not None and seen is not None:
        x1, y1, x2, y2 = seen
        where = f"x {x1:.0f} to {x2:.0f}, y {y1:.0f} to {y2:.0f} of {size[0]}x{size[1]} pixels ({count} videos)"
    more = f" and {len(parts) - 1} other parts or sizes" if len(parts) > 1 else ""
    made_of = "the encoder's own map" if spec.stage is None else f"the map of {spec.stage}"
    return {"cells": f"{spec.grid[0]} rows x {spec.grid[1]} columns of {made_of}", "part seen": where + more}
