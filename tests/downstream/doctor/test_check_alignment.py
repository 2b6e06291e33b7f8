from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from downstream.doctor.check_alignment import examine
from downstream.doctor.finding import Finding
from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import MANIFEST, FeatureSet
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError
from tests.paths import REAL

LISTS = REAL / "annotations"
SPEC = FeatureSpec(encoder="i3d", weights_sha256=None, dim=3, crops=("centre", "left"))
VIDEOS = (
    Video("calm", "calm.mp4", 0, "train", num_frames=80),
    Video("fall", "fall.mp4", 1, "train", num_frames=96),
    Video("Abuse028_x264", "Abuse028.mp4", 1, "test", spans=((16, 40), (50, 64)), num_frames=96),
    Video("street", "street.mp4", 0, "test", num_frames=64),
)

Arrays = dict[str, NDArray[Any]]
Make = Callable[..., FeatureSet]


def arrays(videos: Catalogue | tuple[Video, ...] = VIDEOS, spec: FeatureSpec = SPEC) -> Arrays:
    rng = np.random.default_rng(0)
    shape = (spec.crops_or_cells, spec.dim)
    return {v.name: rng.standard_normal(((v.num_frames or 96) // 16, *shape)).astype(np.float16) for v in videos}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(arrays)` -> a feature set of them, with what the writer would refuse written over what it took."""

    def build(features: Arrays, name: str = "set", spec: FeatureSpec = SPEC, **meta: Any) -> FeatureSet:
        writer = FeatureWriter(tmp_path / name, spec)
        for video, values in features.items():
            writer.add(
                video, np.nan_to_num(values) if len(values) else np.ones((1, spec.crops_or_cells, spec.dim)), **meta
            )
        made = writer.finish(list(features))
        file = tmp_path / name / json.loads((tmp_path / name / MANIFEST).read_text())["array"]
        manifest = json.loads((tmp_path / name / MANIFEST).read_text())
        offset = 0
        for entry in manifest["videos"]:
            entry |= {"offset": offset, "snippets": len(features[entry["name"]])}
            offset += entry["snippets"]
        np.save(file, np.concatenate(list(features.values())))
        (tmp_path / name / MANIFEST).write_text(json.dumps(manifest))
        return FeatureSet.open(made.folder)

    return build


def said(found: list[Finding]) -> list[str]:
    return [f"{finding.severity}: {finding.kind}: {finding.text}" for finding in found]


def catalogue(**changes: dict[str, Any]) -> Catalogue:
    return Catalogue([replace(video, **changes.get(video.name, {})) for video in VIDEOS], "list")


def test_a_clean_set_gives_nothing(make: Make) -> None:
    assert examine([make(arrays())], catalogue()) == []


def _without(name: str) -> Callable[[Arrays], None]:
    return lambda features: features.pop(name) is None


def _to(name: str, change: Callable[[NDArray[Any]], Any]) -> Callable[[Arrays], None]:
    return lambda features: features.update({name: np.asarray(change(features[name].copy()), np.float16)})


def _put(where: Any, value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(values: NDArray[Any]) -> NDArray[Any]:
        values[where] = value
        return values

    return change


def _rename(features: Arrays) -> None:
    features["Abuse028"] = features.pop("Abuse028_x264")


def _copy(features: Arrays) -> None:
    features["street"] = features["calm"][:4]
    features["calm"] = features["calm"][:4]


BROKEN_FEATURES: dict[str, tuple[Callable[[Arrays], Any], list[str]]] = {
    "missing": (_without("fall"), ["wrong: no features: 'fall': listed, but it has no features"]),
    "unlisted": (
        lambda features: features.update(extra=features["fall"] + 1),
        ["note: not in the list: 'extra': has features, but no list names it"],
    ),
    "renamed": (
        _rename,
        [
            "wrong: no features: 'Abuse028_x264': listed, but it has no features; there are features named 'Abuse028':"
            " give both one name",
            "note: not in the list: 'Abuse028': has features, but no list names it; the list has 'Abuse028_x264'",
        ],
    ),
    "not finite": (
        _to("fall", _put((2, 1, 0), np.nan)),
        ["wrong: not finite: 'fall': 1 of 6 snippets, the first is 2: NaN or infinite"],
    ),
    "infinite": (
        _to("fall", _put((slice(4, 6), 0, 0), np.inf)),
        ["wrong: not finite: 'fall': 2 of 6 snippets, the first is 4: NaN or infinite"],
    ),
    "constant": (
        _to("fall", lambda values: np.repeat(values[:1], 6, axis=0)),
        ["wrong: constant features: 'fall': all 6 snippets are the same vector"],
    ),
    "zero": (
        _to("fall", lambda values: values * 0),
        ["wrong: constant features: 'fall': nothing but zeros in its 6 snippet(s)"],
    ),
    "zero snippets": (
        _to("fall", _put(slice(1, 3), 0)),
        ["note: constant features: 'fall': 2 of 6 snippets are nothing but zeros"],
    ),
    "copied": (
        _copy,
        [
            "wrong: length: 'calm': 80 frames annotated, 64 covered by features: 16 frames off: wrong",
            "wrong: same features twice: 'street': the same 4 snippets, bit for bit, as 'calm': 'calm' is train,"
            " this is test",
        ],
    ),
    "one crop": (
        _to("fall", lambda values: values[:, [0, 0]]),
        ["wrong: identical crops: 'fall': all its crops are identical"],
    ),
    "no snippet": (
        _to("fall", lambda values: values[:0]),
        ["wrong: no snippet: 'fall': features without a single snippet"],
    ),
    "too long": (
        _to("street", lambda values: np.concatenate([values, values + 1])),
        ["wrong: length: 'street': 64 frames annotated, 128 covered by features: 64 frames off: wrong"],
    ),
}


@pytest.mark.parametrize("what", BROKEN_FEATURES)
def test_each_fault_of_the_features_is_found_and_no_other(what: str, make: Make) -> None:
    break_it, expected = BROKEN_FEATURES[what]
    features = arrays()
    break_it(features)
    assert said(examine([make(features)], catalogue())) == expected


BROKEN_LISTS: dict[str, tuple[dict[str, dict[str, Any]], list[str]]] = {
    "tail": (
        {"Abuse028_x264": {"num_frames": 99}},
        ["note: length: 'Abuse028_x264': 99 frames annotated, 96 covered by features: tail rule applies"],
    ),
    "length": (
        {"Abuse028_x264": {"num_frames": 112}},
        ["wrong: length: 'Abuse028_x264': 112 frames annotated, 96 covered by features: 16 frames off: wrong"],
    ),
    "one beyond": (
        {"Abuse028_x264": {"spans": ((5, 97),)}},
        [
            "note: anomaly beyond the end: 'Abuse028_x264': anomaly in frames [5, 97), ends 1 beyond the last of 96:"
            " cut there"
        ],
    ),
    "far beyond": (
        {"Abuse028_x264": {"spans": ((5, 20), (96, 97), (80, 112))}},
        [
            "wrong: anomaly beyond the end: 'Abuse028_x264': anomaly in frames [96, 97), but there are 96",
            "wrong: anomaly beyond the end: 'Abuse028_x264': anomaly in frames [80, 112), but there are 96",
        ],
    ),
    "no spans": (
        {"Abuse028_x264": {"spans": ()}},
        ["wrong: no spans: 'Abuse028_x264': an abnormal test video without anomalous spans: it cannot be evaluated"],
    ),
    "normal with spans": (
        {"street": {"spans": ((3, 9),)}},
        ["wrong: label: 'street': label 0 (normal), but frames (3, 9) are annotated as anomalous"],
    ),
    "no label": (
        {"street": {"label": None}},
        ["wrong: no label: 'street': neither normal nor abnormal, nor anomalous spans"],
    ),
    "one class": ({"fall": {"label": 0}}, ["wrong: one class only: train: none of its 2 videos is abnormal"]),
}


@pytest.mark.parametrize("what", BROKEN_LISTS)
def test_each_fault_of_the_lists_is_found_and_no_other(what: str, make: Make) -> None:
    changes, expected = BROKEN_LISTS[what]
    assert said(examine([make(arrays())], catalogue(**changes))) == expected


def test_one_video_in_train_and_test(make: Make) -> None:
    videos = [*VIDEOS, Video("Abuse028", "copy.mp4", 1, "train", num_frames=96)]
    features = arrays(tuple(videos))
    found = examine([make(features)], Catalogue(videos, "list"))
    assert said(found) == [
        "wrong: train and test overlap: 'Abuse028_x264' is a test video and 'Abuse028' a training video:"
        " one video under two names"
    ]


def test_set_wide_faults_are_said_once(make: Make) -> None:
    features = {name: values[:, [0, 0]] for name, values in arrays().items()}
    for values in features.values():
        values[:, :, 2] = 7
    part = make(features)
    assert said(examine([part], catalogue())) == [
        f"wrong: identical crops: {part.folder}: all 2 crops are identical in every video",
        f"note: constant features: {part.folder}: 1 of 3 numbers are the same in every snippet (the first is number 2)",
    ]


def test_two_sets_of_one_grid_are_clean_and_one_crop_serves_all(make: Make) -> None:
    clip = replace(SPEC, encoder="clip", crops=("centre",), dim=5)
    assert examine([make(arrays()), make(arrays(spec=clip), "clip", clip)], catalogue()) == []


def test_two_sets_that_do_not_match(make: Make) -> None:
    clip = replace(SPEC, encoder="clip", crops=("left", "centre"))
    features = arrays(spec=clip)
    features["fall"] = features["fall"][:-1]
    features["calm"] = features["calm"][:-2]
    del features["street"]
    unmeasured = catalogue(**{video.name: {"num_frames": None} for video in VIDEOS})
    first, other = make(arrays(), frames=96), make(features, "clip", clip, frames=95)
    texts = [text for text in said(examine([first, other], unmeasured)) if ": length" not in text]
    pair = f"{first.folder} and {other.folder}"
    assert f"wrong: no features: 'street': listed, but it has no features ({other.folder})" in texts
    assert f"wrong: sets do not match: {pair}: crops ('centre', 'left') against crops ('left', 'centre')" in texts
    assert f"wrong: sets do not match: 'calm': 5 snippets against 3, 2 off: wrong ({pair})" in texts
    assert f"note: sets do not match: 'fall': 6 snippets against 5, 1 off: cut to the shorter ({pair})" in texts
    assert f"wrong: sets do not match: 'fall': made from a video of 96 frames and one of 95 ({pair})" in texts


CELLS = replace(SPEC, encoder="small3d", crops=("centre",), grid=(2, 3))
PLACE = {"size": (320, 240), "seen": (0.0, 0.0, 320.0, 240.0)}


def test_cells_are_clean_alone_and_beside_a_set_of_the_whole_picture(make: Make) -> None:
    whole = replace(SPEC, encoder="clip", crops=("centre",))
    sets = [make(arrays(spec=whole), "whole", whole), make(arrays(spec=CELLS), "cells", CELLS, **PLACE)]
    assert examine(sets, catalogue()) == []


def test_cells_that_do_not_match(make: Make) -> None:
    other, clip = replace(CELLS, encoder="r3d_18", grid=(3, 2)), replace(CELLS, encoder="r3d_18")
    whole = replace(SPEC, encoder="clip", crops=("centre",))
    first = make(arrays(spec=CELLS), "cells", CELLS, **PLACE)
    sets = [make(arrays(spec=whole), "whole", whole), first, make(arrays(spec=other), "other", other, **PLACE)]
    pair = f"{first.folder} and {sets[2].folder}"
    assert said(examine(sets, catalogue())) == [f"wrong: sets do not match: {pair}: cells 2x3 against cells 3x2"]
    square = make(arrays(spec=clip), "square", clip, **PLACE | {"seen": (40.0, 0.0, 280.0, 240.0)})
    texts = said(examine([first, square], catalogue()))
    assert len(texts) == len(VIDEOS)
    assert texts[0] == (
        "wrong: sets do not match: 'calm': cells over x 0 to 320, y 0 to 240 of 320x240 pixels against"
        f" x 40 to 280, y 0 to 240 of 320x240 pixels ({first.folder} and {square.folder})"
    )


def test_cells_without_a_place_and_cells_that_are_all_one(make: Make) -> None:
    features = {name: values[:, [0] * 6] for name, values in arrays(spec=CELLS).items()}
    part = make(features, "cells", CELLS)
    texts = said(examine([part], catalogue()))
    assert texts[0] == "wrong: no place: 'calm': where in the picture its cells lie is not stored: extract it again"
    assert texts[len(VIDEOS) :] == [f"wrong: identical crops: {part.folder}: all 6 cells are identical in every video"]


def test_kinds_that_differ(make: Make) -> None:
    first = make(arrays())
    again = make(arrays(), "again", replace(SPEC, weights_sha256="ab", snippet_frames=8))
    texts = said(examine([first, again], catalogue()))
    pair = f"{first.folder} and {again.folder}"
    assert f"wrong: sets do not match: {pair}: snippets of 16 frames against 8" in texts
    assert (
        f"note: sets do not match: {pair}: the same encoder, they differ in weights_sha256: None, 'ab';"
        " snippet_frames: 16, 8" in texts
    )
    assert sum("sets do not match" in text for text in texts) == 2, "one difference of all videos is said once"


def test_frames_that_the_features_know(make: Make) -> None:
    unmeasured = catalogue(**{video.name: {"num_frames": None} for video in VIDEOS})
    features = {name: np.resize(values, (6, 2, 3)) + i for i, (name, values) in enumerate(arrays().items())}
    assert examine([make(features, frames=100)], unmeasured) == []
    texts = said(examine([make(features, "long", frames=112)], unmeasured, split="test"))
    assert texts == [
        f"wrong: length: '{name}': the video had 112 frames, 96 covered by features: 16 frames off: wrong"
        for name in ("Abuse028_x264", "street")
    ]
    even = make(features, "even", replace(SPEC, snippet_frames=None))
    assert [finding.text for finding in examine([even], unmeasured, split="test")] == [
        f"'{name}': neither the length of the video nor of a snippet is known: it cannot be scored"
        for name in ("Abuse028_x264", "street")
    ]


def test_few_snippets_and_the_order_of_findings(make: Make) -> None:
    features = arrays()
    features["street"][:] = 0
    del features["fall"]
    kinds = [(finding.severity, finding.kind) for finding in examine([make(features)], catalogue(), top_k=6)]
    assert kinds == [
        ("wrong", "no features"),
        ("wrong", "constant features"),
        ("note", "few snippets"),
        ("note", "few snippets"),
    ]


def test_nothing_to_examine(make: Make) -> None:
    with pytest.raises(UserError, match="no feature set to examine"):
        examine([], catalogue())
    with pytest.raises(UserError, match="list lists no video of split 'test': nothing to examine"):
        examine([make(arrays())], Catalogue(VIDEOS[:2], "list"), split="test")


@pytest.mark.parametrize("kind", ["ucf_crime", "xd_violence", "shanghaitech"])
def test_real_lists_with_features_of_their_lengths(kind: str, tmp_path: Path) -> None:
    if not LISTS.is_dir():
        pytest.skip("the real list files are not there (../shared/real/annotations beside the checkout)")
    listed = open_catalogue(CatalogueConfig(kind=kind, root=tmp_path, annotations=LISTS / kind, check_files=False))
    lengths = json.loads((LISTS / "ucf_crime" / "test_num_frames.json").read_text())
    feature_spec = replace(SPEC, crops=("centre",))
    writer, rng, parts = FeatureWriter(tmp_path / "set", feature_spec), np.random.default_rng(1), []
    entries, offset = [], 0
    for video in listed:
        last = max((end for _, end in video.spans), default=64)
        frames = lengths.get(video.name) or video.num_frames or last
        snippets = max(frames // 16, 1)
        parts.append(rng.standard_normal((snippets, 1, 3), np.float32))
        entries.append(
            {"name": video.name, "offset": offset, "snippets": snippets, "frames": frames, "fps": None,
             "snippet_frames": 16}
        )  # fmt: skip
        offset += snippets
    writer.add(listed[0].name, parts[0])
    folder = writer.finish().folder
    manifest = json.loads((folder / MANIFEST).read_text())
    np.save(folder / manifest["array"], np.concatenate(parts))
    (folder / MANIFEST).write_text(json.dumps(manifest | {"videos": entries, "dtype": "float32"}))
    found = examine([FeatureSet.open(folder)], listed)
    assert Counter(finding.severity for finding in found)["wrong"] == 0, said(found)[:5]
    beyond = [finding.video for finding in found if finding.kind == "anomaly beyond the end"]
    assert beyond == (["Explosion033_x264", "Shooting015_x264"] if kind == "ucf_crime" else [])
    tails = sum(finding.kind == "length" for finding in found)
    assert tails == sum((video.num_frames or 0) % 16 > 0 for video in listed)


def test_a_plain_folder_says_what_it_lacks_once_and_which_split_there_is(make: Make) -> None:
    plain = Catalogue([replace(video, label=None, spans=(), split="train") for video in VIDEOS], "folder plain")
    assert {finding.kind for finding in examine([make(arrays())], plain)} == {"no label"}
    with pytest.raises(UserError, match=rf"nothing to examine; its {len(plain)} are all of 'train': --split train$"):
        examine([make(arrays())], plain, "test")
