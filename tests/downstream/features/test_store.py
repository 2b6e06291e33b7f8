from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import MANIFEST, FeatureSet
from pretrain.errors import UserError
from tests.paths import ROOT

SPEC = FeatureSpec(encoder="i3d", weights_sha256=None, dim=4, crops=("centre", "top_left"))
ODD_NAMES = ("v=S-7r__#1_label_B4-0-0", "a/b c", "Amélie", "x" * 300)


def values(seed: int, length: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 2, 4)).astype(np.float16)


def write(folder: Path, lengths: dict[str, int], spec: FeatureSpec = SPEC) -> FeatureSet:
    writer = FeatureWriter(folder, spec)
    for seed, (name, length) in enumerate(lengths.items()):
        writer.add(name, values(seed, length), frames=16 * length + 5, fps=25.0)
    return writer.finish()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lengths = {name: seed + 1 for seed, name in enumerate(ODD_NAMES)}
    write(tmp_path, lengths)
    read = FeatureSet.open(tmp_path)
    assert read.spec == SPEC
    assert list(read.videos) == sorted(ODD_NAMES)
    for seed, (name, length) in enumerate(lengths.items()):
        assert np.array_equal(read.read(name), values(seed, length))
        entry = read.videos[name]
        assert (entry.snippets, entry.frames, entry.fps, entry.snippet_frames) == (length, 16 * length + 5, 25.0, 16)
    assert not (tmp_path / "parts").exists()


def test_adding_to_a_set_keeps_its_order_and_replaces(tmp_path: Path) -> None:
    write(tmp_path, {"b": 2, "c": 3})
    writer = FeatureWriter(tmp_path, SPEC)
    assert writer.has("b")
    assert not writer.has("a")
    writer.add("a", values(7))
    writer.add("c", values(8, 5))
    done = writer.finish()
    assert list(done.videos) == ["b", "c", "a"]
    assert np.array_equal(done.read("c"), values(8, 5))
    assert np.array_equal(done.read("b"), values(0, 2))
    assert len(list(tmp_path.glob("features-*.npy"))) == 1
    assert list(FeatureWriter(tmp_path, SPEC).finish(["a", "b", "unknown"]).videos) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.zeros((3, 1, 4)), r"shape \(3, 1, 4\); expected \(snippets >= 1, 2 crop\(s\), 4 numbers\)"),
        (np.zeros((3, 8)), r"shape \(3, 8\)"),
        (np.zeros((0, 2, 4)), r"shape \(0, 2, 4\)"),
        (np.where(np.arange(24).reshape(3, 2, 4) == 17, np.nan, 0), "'v': 1 of 3 snippets, the first is 2"),
        (np.where(np.arange(24).reshape(3, 2, 4) == 9, -np.inf, 0), "'v': 1 of 3 snippets, the first is 1"),
        (np.full((3, 2, 4), 7e4, np.float32), r"too large for float16 .*'v': 3 of 3 .*float32"),
    ],
)
def test_bad_features_are_refused_and_not_stored(features: np.ndarray, said: str, tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC)
    with pytest.raises(UserError, match=said):
        writer.add("v", features)
    assert not writer.has("v")
    with pytest.raises(UserError, match="no video has features"):
        writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_float32_holds_what_float16_cannot(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC, "float32")
    writer.add("v", np.full((1, 2, 4), 7e4, np.float32))
    assert writer.finish().read("v").max() == 7e4


def test_values_gone_bad_on_disk_are_found(tmp_path: Path) -> None:
    done = write(tmp_path, {"a": 2, "b": 3})
    done.check_finite()
    array = np.load(next(tmp_path.glob("features-*.npy")), mmap_mode="r+")
    array[3, 1, 0] = np.inf
    array.flush()
    with pytest.raises(UserError, match=r"1 video\(s\)[^\n]*\n  - 'b': 1 of 3 snippets, the first is 1"):
        done.check_finite()
    done.check_finite(["a"])


def test_a_folder_holds_one_kind(tmp_path: Path) -> None:
    other = FeatureSpec(encoder="clip", weights_sha256="ab", dim=4, crops=SPEC.crops)
    FeatureWriter(tmp_path, SPEC).add("a", values(0))
    for _ in ("begun", "finished"):
        with pytest.raises(UserError) as error:
            FeatureWriter(tmp_path, other)
        assert "encoder: 'i3d', 'clip'" in str(error.value)
        assert "weights_sha256: None, 'ab'" in str(error.value)
        with pytest.raises(UserError, match="dtype: 'float16', 'float32'"):
            FeatureWriter(tmp_path, SPEC, "float32")
        FeatureWriter(tmp_path, SPEC).finish()


def test_a_writer_that_added_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    other = FeatureSpec(encoder="clip", weights_sha256="ab", dim=4, crops=SPEC.crops)
    FeatureWriter(tmp_path, other)  # killed before its first video: whoever comes next may choose another kind
    write(tmp_path, {"a": 2})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert list(FeatureWriter(tmp_path, SPEC).finish(["a", "b"]).videos) == ["a"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_no_set_half_a_set_and_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no manifest\.json\. Make one with"):
        FeatureSet.open(tmp_path)
    FeatureWriter(tmp_path, SPEC).add("a", values(0))
    with pytest.raises(UserError, match="begun and not finished: run the same command again"):
        FeatureSet.open(tmp_path)
    array = write(tmp_path, {"a": 9}).folder / json.loads((tmp_path / MANIFEST).read_text())["array"]
    array.write_bytes(array.read_bytes()[:-10])
    with pytest.raises(UserError, match="no whole feature set"):
        FeatureSet.open(tmp_path)
    np.save(array, np.zeros((8, 2, 4), np.float16))
    with pytest.raises(UserError, match="promises 9 snippets x 2 crops x 4"):
        FeatureSet.open(tmp_path)
    (tmp_path / MANIFEST).write_text('{"format": "other/9"}')
    with pytest.raises(UserError, match="format 'other/9'"):
        FeatureSet.open(tmp_path)


def test_a_half_written_part_is_named_and_a_killed_ones_rest_ignored(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC)
    writer.add("a", values(0))
    writer.add("b", values(1))
    part = sorted((tmp_path / "parts").glob("*.safetensors"))[0]
    (tmp_path / "parts" / ".abc.1.tmp.safetensors").write_bytes(part.read_bytes()[:50])
    assert list(FeatureWriter(tmp_path, SPEC).finish().videos) == ["a", "b"]
    writer = FeatureWriter(tmp_path, SPEC)
    writer.add("c", values(2))
    part = next((tmp_path / "parts").glob("*.safetensors"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(UserError, match=rf"{part.name} is damaged .*delete it and run again"):
        writer.finish()
    assert list(FeatureSet.open(tmp_path).videos) == ["a", "b"]


ADDER = """
import sys
from pathlib import Path
import numpy as np
from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
spec = FeatureSpec(encoder="i3d", weights_sha256=None, dim=4, crops=("centre", "top_left"))
writer = FeatureWriter(Path(sys.argv[1]), spec)
sys.stdin.readline()
for number in range(int(sys.argv[2]), 40, 2):
    writer.add(f"v{number:02}", np.full((number + 1, 2, 4), number, np.float16))
"""


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", ADDER, str(tmp_path), str(rank)], stdin=subprocess.PIPE, cwd=ROOT)
        for rank in (0, 1)
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(60) for process in both] == [0, 0]
    done = FeatureWriter(tmp_path, SPEC).finish()
    assert list(done.videos) == [f"v{number:02}" for number in range(40)]
    for number, name in enumerate(done.videos):
        assert np.array_equal(done.read(name), np.full((number + 1, 2, 4), number))


KILLER = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
import downstream.features.store as store, pretrain.files as files
from downstream.features import set_parts, set_writer
from downstream.features.feature_spec import FeatureSpec
spec = FeatureSpec(encoder="i3d", weights_sha256=None, dim=4, crops=("centre", "top_left"))
traced = {store.__file__, set_parts.__file__, set_writer.__file__, files.__file__, shutil.__file__}
work = Path(sys.argv[1])
def make(folder):
    writer = set_writer.FeatureWriter(folder, spec)
    for number in (1, 2):
        if not writer.has(f"new{number}"):
            writer.add(f"new{number}", np.full((number, 2, 4), number, np.float16))
    return writer.finish()
def run(folder, last):
    lines = 0
    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename not in traced:
            return None
        lines += event == "line"
        if lines == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    make(folder)
    sys.settrace(None)
    return lines
old = set_writer.FeatureWriter(work / "old", spec)
old.add("old", np.zeros((3, 2, 4), np.float16))
old.finish()
def copy(name):
    return Path(shutil.copytree(work / "old", work / name))
total = run(copy("whole"), -1)
whole = (work / "whole" / "manifest.json").read_bytes()
seen, states = 0, set()
for last in range(1, total, 2):
    folder = copy(f"kill{last}")
    child = os.fork()
    if child == 0:
        run(folder, last)
        os._exit(0)
    seen += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    found = store.FeatureSet.open(folder)
    found.check_finite()
    states.add(tuple(found.videos))
    make(folder)
    assert (folder / "manifest.json").read_bytes() == whole, last
    assert len(list(folder.glob("features-*.npy"))) == 1 and not (folder / "parts").exists(), last
    shutil.rmtree(folder)
print(seen, len(range(1, total, 2)), sorted(states))
"""


def test_killed_at_any_line_the_old_set_or_the_new_is_there_and_work_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    killed, tried, states = done.stdout.split(maxsplit=2)
    assert int(killed) == int(tried) > 100
    assert states.strip() == "[('old',), ('old', 'new1', 'new2')]"


def test_edges_cover_snippets_by_length_or_evenly() -> None:
    entry = {"name": "a", "offset": 0, "snippets": 3, "fps": None}
    sixteen = VideoEntry(**entry, frames=50, snippet_frames=16)  # type: ignore[arg-type]
    evenly = VideoEntry(**entry, frames=50, snippet_frames=None)  # type: ignore[arg-type]
    unknown = VideoEntry(**entry, frames=None, snippet_frames=None)  # type: ignore[arg-type]
    assert np.array_equal(sixteen.edges(), [0, 16, 32, 48])  # type: ignore[arg-type]
    assert np.array_equal(evenly.edges(), [0, 16, 33, 50])  # type: ignore[arg-type]
    assert unknown.edges() is None


def test_kind_goes_through_json_and_tells_what_differs() -> None:
    again = FeatureSpec.from_json(json.loads(json.dumps(SPEC.as_json())))
    assert again == SPEC
    assert again.differences(SPEC) == []
    other = FeatureSpec(encoder="i3d", weights_sha256=None, dim=5, crops=("centre",))
    assert SPEC.differences(other) == ["dim: 4, 5", "crops: ('centre', 'top_left'), ('centre',)"]
    with pytest.raises(TypeError, match="more"):
        FeatureSpec.from_json(SPEC.as_json() | {"more": 1})
    with pytest.raises(TypeError, match="missing: crops, pool"):
        FeatureSpec.from_json({key: value for key, value in SPEC.as_json().items() if key not in ("crops", "pool")})


CELLS = FeatureSpec(encoder="small3d", weights_sha256=None, dim=4, grid=(2, 3), stage="layers.2")
PLACE: dict[str, Any] = {"size": (320, 240), "seen": (0.0, 13.5, 320.0, 226.5)}


def cells(seed: int, length: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 6, 4)).astype(np.float16)


def test_a_set_of_cells_says_where_they_lie_and_keeps_it(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, CELLS)
    writer.add("a", cells(0), **PLACE)
    stored = writer.finish()
    assert stored.spec == CELLS
    assert stored.read("a").shape == (3, 6, 4)
    again = FeatureWriter(tmp_path, CELLS)
    again.add("b", cells(1, 2), **PLACE | {"size": (640, 480)})
    done = FeatureSet.open(again.finish().folder)
    assert [(entry.size, entry.seen) for entry in done.videos.values()] == [
        ((320, 240), PLACE["seen"]),
        ((640, 480), PLACE["seen"]),
    ]
    assert np.array_equal(done.read("a"), cells(0))
    assert np.array_equal(done.read("b"), cells(1, 2))
    with pytest.raises(UserError, match=r"expected \(snippets >= 1, 6 cells, 4 numbers\)"):
        FeatureWriter(tmp_path, CELLS).add("c", values(0))
    with pytest.raises(UserError, match=r"grid: \(2, 3\), \(3, 2\)"):
        FeatureWriter(tmp_path, replace(CELLS, grid=(3, 2)))
    with pytest.raises(UserError, match=r"stage: 'layers\.2', None"):
        FeatureWriter(tmp_path, replace(CELLS, stage=None))


def test_a_set_without_cells_has_the_manifest_it_always_had(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC)
    writer.add("a", values(0), **PLACE)  # extraction knows the place of one crop too; nobody needs it
    writer.finish()
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert set(manifest["videos"][0]) == {"name", "offset", "snippets", "frames", "fps", "snippet_frames"}
    assert not {"grid", "stage"} & set(manifest["spec"])
    assert FeatureSet.open(tmp_path).videos["a"].seen is None


def test_cells_in_an_array_of_crops_are_named(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, CELLS)
    writer.add("a", cells(0), **PLACE)
    array = writer.finish().folder / json.loads((tmp_path / MANIFEST).read_text())["array"]
    np.save(array, np.zeros((3, 5, 4), np.float16))
    with pytest.raises(UserError, match="promises 3 snippets x 6 cells x 4: the two are not of one set; make it again"):
        FeatureSet.open(tmp_path)


def test_files_of_others_in_the_folder_stay(tmp_path: Path) -> None:
    theirs = [tmp_path / "features-clip0.npy", tmp_path / "parts" / "notes.txt"]
    write(tmp_path, {"a": 2})
    writer = FeatureWriter(tmp_path, SPEC)
    for path in theirs:
        path.write_text("mine")
    writer.add("b", values(1))
    assert list(writer.finish().videos) == ["a", "b"]
    assert [path.read_text() for path in theirs] == ["mine", "mine"]
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["notes.txt"]
    with pytest.raises(UserError, match=r"parts holds 'notes.txt' and is no folder of a feature set that was begun"):
        FeatureWriter(tmp_path, SPEC)


def test_a_set_goes_on_with_the_precision_that_it_was_made_with(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC, made_with={"precision": "fp32"})
    writer.add("a", values(0))
    writer.finish()
    with pytest.raises(UserError, match=r"precision: 'fp32', 'bf16'"):
        FeatureWriter(tmp_path, SPEC, made_with={"precision": "bf16"})
    for made_with in (None, {"precision": "fp32"}):
        assert FeatureWriter(tmp_path, SPEC, made_with=made_with).has("a")
