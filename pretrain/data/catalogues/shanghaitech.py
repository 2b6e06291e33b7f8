"""ShanghaiTech Campus in its weakly supervised split (Zhong et al., CVPR 2019).

`SH_Train.txt` and `SH_Test.txt` hold one id a line: scene, underscore, clip. Three digits (`01_001`) are clips of the
original training set, all normal; four (`01_0015`) are clips of the original test set, for which
`test_frame_mask/01_0015.npy` marks the anomalous frames.

The label of a four-digit clip is what its mask says; a training clip whose mask is absent counts as abnormal, for all
107 published masks mark at least one frame. That gives the published counts: 63 of 238 and 44 of 199 abnormal.
Training videos carry no spans, whatever their masks hold: this split is for weak supervision.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain.arrays import read_array
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.disk import Places, places
from pretrain.data.catalogues.fetched_lists import lists_root
from pretrain.data.catalogues.lists import find_list, unique_lines
from pretrain.data.catalogues.problems import Problems
from pretrain.data.remote.address import place_text
from pretrain.reading import Unreadable

_ID = re.compile(r"(\d\d)_(\d{3,4})")
_MASKS = "test_frame_mask"


def open_shanghaitech(config: CatalogueConfig) -> Catalogue:
    """238 training and 199 test clips, as videos or folders of frames, found by id anywhere under the root.

    `group` is the scene (01 to 13). Masks lie in `test_frame_mask/` beside the lists or in ROOT/testing/.
    """
    source = f"ShanghaiTech in {place_text(config.root)}"
    problems = Problems(source, config.allow_missing)
    lists = {split: find_list(config, [f"SH_{split.title()}.txt"], problems) for split in ("train", "test")}
    original = lists_root(config) / "testing" / _MASKS
    masks = original if original.is_dir() else find_list(config, [_MASKS], problems)
    if masks is None or None in lists.values():
        problems.stop_if_any()
        raise AssertionError("a list that was not found is a problem")
    files = places(config)
    videos: list[Video] = []
    seen: dict[str, str] = {}
    for split, path in lists.items():
        for line, where in unique_lines(path, problems).items() if path else ():
            name = line.removesuffix(".npy").removesuffix(".avi").removesuffix(".mp4")
            if name in seen:
                problems.add(f"{where}: '{name}' was listed before, at {seen[name]}; a clip is train or test, not both")
                continue
            seen[name] = where
            video = _video(name, split, where, masks, files, problems)
            videos += [video] if video else []
    problems.stop_if_any()
    return Catalogue(videos, source)


def _video(name: str, split: str, where: str, masks: Path, files: Places, problems: Problems) -> Video | None:
    match = _ID.fullmatch(name)
    if match is None:
        problems.add(f"{where}: '{name}' is no clip id such as 01_001 or 01_0015")
        return None
    from_test_set = len(match[2]) == 4
    mask = read_mask(masks / f"{name}.npy", problems) if from_test_set and (masks / f"{name}.npy").exists() else None
    if from_test_set and mask is None and split == "test" and not (masks / f"{name}.npy").exists():
        problems.add(f"{where}: '{name}' has no frame mask {masks / name}.npy; without it it cannot be scored")
    path = files.locate(name, where, problems)
    if path is None:
        return None
    label = int(from_test_set if mask is None else mask.any())
    spans = spans_of(mask) if mask is not None and split == "test" else ()
    num_frames = None if mask is None else len(mask)
    return Video(name, path, label, split, "Abnormal" if label else "Normal", match[1], spans, (), num_frames)


def read_mask(path: Path, problems: Problems) -> NDArray[np.bool_] | None:
    """A mask file -> bool (frames,); None and a problem where it is not a vector of zeros and ones."""
    try:
        mask = read_array(path)
    except Unreadable as error:
        problems.add(f"{path}: no readable array ({error}); fetch it again")
        return None
    if mask.ndim != 1 or not mask.size or not np.isin(mask, (0, 1)).all():
        problems.add(f"{path}: not a vector of zeros and ones, one a frame; fetch it again")
        return None
    return mask.astype(bool)


def spans_of(mask: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """bool (frames,) -> half-open spans of its true frames, counted from 0."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return tuple((int(start), int(end)) for start, end in edges.reshape(-1, 2))
