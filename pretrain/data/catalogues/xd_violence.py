"""XD-Violence (Wu et al., ECCV 2020): labels are in the file name.

    v=S-7rRLrxnVQ__#1_label_B4-0-0.mp4    up to three of B1 B2 B4 B5 B6 G, filled with 0; A = normal

`test_videos.txt` names the 800 test videos, `annotations.txt` holds the spans of the 500 abnormal ones: a name (some
end in .mp4), then pairs of start and end. Frames count from 0 and the end is OUTSIDE: so the published ground truth has
it, whose 538,324 anomalous frames are the sum of end - start (the first span of the file begins at 0).
"""

from __future__ import annotations

import re
from pathlib import Path

from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.disk import OnDisk, Places, places, video_name
from pretrain.data.catalogues.lists import find_list, integers, numbered_lines, unique_lines
from pretrain.data.catalogues.problems import Problems
from pretrain.data.remote.address import place_text

CLASSES = {
    "A": "Normal",
    "B1": "Fighting",
    "B2": "Shooting",
    "B4": "Riot",
    "B5": "Abuse",
    "B6": "CarAccident",
    "G": "Explosion",
}
# Two training names carry one code and no filling zeros (`..._label_B1`).
_LABEL = re.compile(r"_label_((?:A|B[12456]|G|0)(?:-(?:A|B[12456]|G|0)){0,2})(?:__.*)?$")
_MAKE_LIST = "write the names of the test videos, one a line, into test_videos.txt"

Spans = tuple[tuple[int, int], ...]


def open_xd_violence(config: CatalogueConfig) -> Catalogue:
    """3954 training and 800 test videos, found by name anywhere under the root.

    Train is `train_videos.txt` where there is one, else every video under the root that is not a test video (an error
    where files are not looked at).
    `class_name` joins several classes with `+` in the name's order; `group` is the film or the YouTube id.
    """
    source = f"XD-Violence in {place_text(config.root)}"
    problems = Problems(source, config.allow_missing)
    test_list = find_list(config, ["test_videos.txt"], problems, _MAKE_LIST + "; set annotations to its folder")
    span_list = find_list(config, ["annotations.txt"], problems)
    if test_list is None or span_list is None:
        problems.stop_if_any()
        raise AssertionError("a list that was not found is a problem")
    files = places(config)
    test = _names(test_list, problems)
    spans = read_spans(span_list, set(test), problems)
    train = _train_names(config, set(test), files, problems)
    videos = _videos(train, "train", {}, files, problems) + _videos(test, "test", spans, files, problems)
    problems.stop_if_any()
    return Catalogue(videos, source)


def classes_from_name(name: str) -> list[str] | None:
    """Class names in the order of the label codes, `["Normal"]` for A; None where the name holds no valid label."""
    match = _LABEL.search(name)
    codes = [code for code in match[1].split("-") if code != "0"] if match else []
    known = bool(codes) and all(code in CLASSES for code in codes) and ("A" not in codes or codes == ["A"])
    return [CLASSES[code] for code in codes] if known else None


def group_from_name(name: str) -> str:
    """The film (`Bad.Boys.1995`) or YouTube id (`v=S-7rRLrxnVQ`) that a clip was cut from."""
    return name.split("__#")[0].split("_label_")[0]


def _names(path: Path, problems: Problems) -> dict[str, str]:
    """Name -> where it is listed. A `.mp4` at the end is dropped."""
    found: dict[str, str] = {}
    for line, where in unique_lines(path, problems).items():
        name = video_name(line.replace("\\", "/").rpartition("/")[2])
        if name in found:
            problems.add(f"{where}: '{name}' was listed before, at {found[name]}; remove one")
        found.setdefault(name, where)
    return found


def _train_names(config: CatalogueConfig, test: set[str], files: Places, problems: Problems) -> dict[str, str]:
    path = find_list(config, ["train_videos.txt"], Problems("an optional list"))
    if path is None and isinstance(files, OnDisk):
        return {name: "by its place under the root" for name in files.names() if name not in test}
    if path is None:
        problems.add(
            "train_videos.txt not found, and without the videos (check_files is off) nothing else says which are train;"
            " write the training names into it, one a line, beside test_videos.txt"
        )
        return {}
    train = _names(path, problems)
    for name in train.keys() & test:
        problems.add(f"{train.pop(name)}: '{name}' is a test video; remove the line, nothing may be trained on it")
    return train


def read_spans(path: Path, test: set[str], problems: Problems) -> dict[str, Spans]:
    """Name -> spans, of an `annotations.txt`; `test`: the names that may stand there.

    A name may hold spaces, so the numbers are taken from the end of the line.
    """
    found: dict[str, Spans] = {}
    for where, line in numbered_lines(path):
        match = re.fullmatch(r"(\S.*?)((?:\s+-?\d+)+)", line)
        numbers = integers(match[2].split()) if match else None
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False)) if numbers else []
        if match is None or numbers is None or len(numbers) % 2:
            problems.add(f"{where}: '{line}' is not a name and pairs of start and end frames")
            continue
        name = video_name(match[1])
        bad = [pair for pair in pairs if not 0 <= pair[0] < pair[1]]
        if bad:
            problems.add(f"{where}: '{name}': start {bad[0][0]} and end {bad[0][1]} are not 0 <= start < end")
        elif name in found:
            problems.add(f"{where}: '{name}' was annotated before; remove one line")
        elif name not in test:
            problems.add(f"{where}: '{name}' is not in the test list; correct the name")
        found.setdefault(name, merge_spans(pairs))
    return found


def _videos(
    names: dict[str, str], split: str, spans: dict[str, Spans], files: Places, problems: Problems
) -> list[Video]:
    videos = []
    for name, where in names.items():
        classes = classes_from_name(name)
        label = int(classes != ["Normal"])
        if classes is None:
            problems.add(f"{where}: '{name}' holds no label such as _label_A or _label_B2-G-0; use the original name")
        elif split == "test" and label != (name in spans):
            state = "has" if name in spans else "has no"
            problems.add(f"{where}: '{name}' is {'+'.join(classes)} but {state} line in annotations.txt")
        else:
            path = files.locate(name, where, problems)
            if path is not None:
                group = group_from_name(name)
                videos.append(Video(name, path, label, split, "+".join(classes), group, spans.get(name, ())))
    return videos
