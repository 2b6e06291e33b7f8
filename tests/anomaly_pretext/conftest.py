from __future__ import annotations

from pathlib import Path

import pytest

from tests.pretrain.encoding import encode_video


@pytest.fixture(scope="session")
def listed_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small videos and `list.csv` with their labels; the last two are for testing."""
    root = tmp_path_factory.mktemp("listed")
    rows = ["path,label,split,spans"]
    for number in range(10):
        encode_video(root / f"v{number}.mp4", number, num_frames=112)
        rows.append(f"v{number}.mp4,{number % 2},{'test' if number >= 8 else 'train'},{'20:60' if number == 9 else ''}")
    (root / "list.csv").write_text("\n".join(rows))
    return root
