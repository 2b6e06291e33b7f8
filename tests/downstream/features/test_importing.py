from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.features.crops import CROPS
from downstream.features.exporting import LAYOUTS, ONE_CROP, export_features
from downstream.features.feature_spec import FeatureSpec
from downstream.features.find_files import find_files
from downstream.features.fusion import FusedFeatures
from downstream.features.importing import ImportOptions, import_features, plan_import
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.features.timing import Timing, read_grid, timing_of, timings_of
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError
from tests.paths import REAL

PUBLISHED = REAL / "ucf_crime_features"
NAMES = ("Abuse001_x264", "v=S-7rRLrxnVQ__#1_label_B4-0-0", "Bad.Boys II.1995__#00-26-51_label_A", "Amélie", "01_0015")


def made(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def a_set(folder: Path, lengths: dict[str, int], crops: int, dim: int = 4) -> FeatureSet:
    spec = FeatureSpec(encoder="i3d_rgb", weights_sha256=None, dim=dim, crops=CROPS[crops])
    writer = FeatureWriter(folder, spec, "float32")
    for seed, (name, length) in enumerate(lengths.items()):
        writer.add(name, made(seed, length, crops, dim))
    return writer.finish()


def imported(sources: list[Path], out: Path, root: Path | None = None, **options: object) -> FeatureSet:
    given = ImportOptions(**({"encoder": "i3d_rgb", "dtype": "float32"} | options))  # type: ignore[arg-type]
    return import_features(plan_import(find_files(sources, root).paths, given), out)


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(UserError) as error:
        imported([folder], folder.parent / "never", **options)
    assert not (folder.parent / "never").exists()
    return str(error.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_layout_comes_back_as_it_was(layout: str, data: st.DataObject, tmp_path_factory: object) -> None:
    folder = tmp_path_factory.mktemp("round")  # type: ignore[attr-defined]
    crops = 1 if layout in ONE_CROP else data.draw(st.sampled_from((1, 5, 10)))
    length = st.just(32) if layout == "c3d_text" else st.integers(1, 40)
    names = data.draw(st.permutations(NAMES))[: data.draw(st.integers(1, 5))]
    first = a_set(folder / "first", {name: data.draw(length) for name in names}, crops)
    listed = export_features(first, layout, folder / "files")
    axes = {"snippets_crops_dim": "snippets,crops,dim", "crops_snippets_dim": "crops,snippets,dim"}.get(layout)
    for number, source in enumerate((folder / "files", listed)):
        again = imported([source], folder / f"again{number}", axes=axes, snippet_frames=16)
        assert set(again.videos) == set(first.videos)
        assert again.spec == first.spec
        for name in names:
            assert np.array_equal(again.read(name), first.read(name))


def test_xd_has_five_crop_files_and_ucf_ten_in_stored_order(tmp_path: Path) -> None:
    for crops in (5, 10):
        folder = tmp_path / str(crops)
        folder.mkdir()
        video = made(crops, 3, crops, 4)
        for crop in range(crops):
            np.save(folder / f"Abuse001_x264__{crop}.npy", video[:, crop])
        done = imported([folder], tmp_path / f"set{crops}")
        assert done.spec.crops == CROPS[crops]
        assert np.array_equal(done.read("Abuse001_x264"), video)


def test_crop_files_may_be_counted_from_1(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    videos = {name: made(seed, 3 + seed, 10, 4) for seed, name in enumerate(("a", "b"))}
    for name, video in videos.items():
        for crop in range(10):
            np.save(folder / f"{name}__{crop + 1}.npy", video[:, crop])
    plan = plan_import(find_files([folder]).paths, ImportOptions(encoder="i3d_rgb", dtype="float32"))
    assert any("files counted from 1" in note for note in plan.notes)
    done = import_features(plan, tmp_path / "set")
    assert done.spec.crops == CROPS[10]
    for name, video in videos.items():
        assert np.array_equal(done.read(name), video)
    (folder / "b__10.npy").unlink()
    assert "'b': no file of crop 10 (files are numbered 1 to 10)" in refusal(folder)
    np.save(folder / "b__0.npy", videos["b"][:, 0])
    assert "'a': no file of crop 0 (files are numbered 0 to 10)" in refusal(folder, crop_names=tuple("abcdefghijk"))


@pytest.mark.parametrize("extra", [(0,), (3,), (0, 4)])
def test_axes_of_length_1_are_left_out_and_that_is_said(tmp_path: Path, extra: tuple[int, ...]) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    videos = {"a": made(0, 3, 5, 70), "b": made(1, 4, 5, 70)}
    for name, video in videos.items():
        np.save(folder / f"{name}.npy", np.expand_dims(video, extra))
    plan = plan_import(find_files([folder]).paths, ImportOptions(encoder="i3d_rgb", dtype="float32"))
    axes = ", ".join(str(axis + 1) for axis in extra)
    assert f"axis {axes} of each array has length 1 and is left out" in "\n".join(plan.notes)
    done = import_features(plan, tmp_path / "set")
    assert all(np.array_equal(done.read(name), video) for name, video in videos.items())


def test_the_nearest_name_is_suggested_wherever_one_is_missing(tmp_path: Path) -> None:
    features = a_set(tmp_path / "set", {"Normal_Videos_003_x264": 3}, 1)
    mend = r"; did you mean 'Normal_Videos_003_x264(\.npy)?'\?"
    with pytest.raises(UserError, match="'Normal_Videos003': the set has no such video" + mend):
        export_features(features, "snippets_dim", tmp_path / "out", names=["Normal_Videos003"])
    export_features(features, "snippets_dim", tmp_path / "out")
    (tmp_path / "out" / "my.list").write_text("Normal_Videos003_x264.npy\n")
    with pytest.raises(UserError, match="no such feature file under .*: Normal_Videos003_x264.npy" + mend):
        find_files([tmp_path / "out" / "my.list"])
    (tmp_path / "grid.csv").write_text("name,snippet_frames\nNormal_Videos003,16\n")
    with pytest.raises(UserError, match="--grid has no line for it; did you mean 'Normal_Videos003'"):
        plan_import(
            find_files([tmp_path / "out"]).paths, ImportOptions(encoder="x"), grid=read_grid(tmp_path / "grid.csv")
        )
    with pytest.raises(UserError, match="Normal_Videos003" + mend):
        FusedFeatures.open([features.folder]).require(["Normal_Videos003"], "test")


def test_a_grid_of_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_bytes("\ufeffname;snippet_frames;frames;fps\r\na;16.0;450.0;29,97\r\n".encode())
    assert read_grid(tmp_path / "grid.csv") == {"a": Timing(16, 450, 29.97)}


def test_lists_of_another_machine_are_found_by_the_last_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "mine" / part).mkdir(parents=True)
        np.save(tmp_path / "mine" / part / "same.npy", made(len(part), 3, 4))
    np.save(tmp_path / "mine" / "test" / "a # b.npy", made(1, 5, 4))
    listed = tmp_path / "x.list"
    listed.write_text("/home/yu/i3d/test/a # b.npy\r\n\n/home/yu/i3d/test/same.npy\nC:\\data\\train\\same.npy\n")
    found = find_files([listed], tmp_path / "mine")
    assert [Path(path).relative_to(tmp_path / "mine").as_posix() for path in found.paths] == [
        "test/a # b.npy",
        "test/same.npy",
        "train/same.npy",
    ]
    assert "3 of them found under" in found.notes[1]
    listed.write_text("same.npy\n/else/gone.npy\n")
    with pytest.raises(UserError) as error:
        find_files([listed], tmp_path / "mine")
    assert "x.list:1: same.npy may be any of" in str(error.value)
    assert "x.list:2: no such feature file under" in str(error.value)


def test_the_order_of_a_list_makes_no_difference(tmp_path: Path) -> None:
    first = a_set(tmp_path / "first", {"normal": 4, "abnormal": 3, "z": 2}, 1)
    for number, order in enumerate((["abnormal", "normal", "z"], ["z", "normal", "abnormal"])):
        listed = export_features(first, "snippets_dim", tmp_path / f"files{number}", names=order)
        assert listed.read_text().split() == [f"{name}.npy" for name in order]
    sets = [imported([tmp_path / f"files{n}" / "features.list"], tmp_path / f"set{n}") for n in (0, 1)]
    assert (tmp_path / "set0/manifest.json").read_bytes() == (tmp_path / "set1/manifest.json").read_bytes()
    assert list(sets[0].videos) == ["abnormal", "normal", "z"]


def test_all_problems_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "again").mkdir(parents=True)
    for number in range(4):
        np.save(folder / f"good{number}.npy", made(number, 6 + number, 4))
    np.save(folder / "again" / "good0.npy", made(9, 5, 4))
    np.save(folder / "wide.npy", made(9, 5, 8))
    np.save(folder / "crops.npy", made(9, 5, 10, 4))
    np.save(folder / "empty.npy", made(9, 0, 4))
    np.save(folder / "nan.npy", np.where(np.arange(12).reshape(3, 4) > 4, np.nan, 0))
    np.save(folder / "large.npy", np.full((3, 4), 1e5, np.float32))
    np.save(folder / "pickled.npy", np.array([[None]], object), allow_pickle=True)
    text = refusal(folder, dtype="float16")
    assert text.startswith("7 problem(s) in 11 feature file(s), nothing was written:")
    for expected in (
        "wide.npy: 8 numbers wide, most files are 4",
        "crops.npy: 3 axes (5, 10, 4), most files have 2",
        "empty.npy: empty, shape (0, 4)",
        "nan.npy': 2 of 3 snippets, the first is 1",
        "large.npy': 3 of 3 snippets, the first is 0; import with --dtype float32",
        "pickled.npy: it holds pickled Python objects",
        f"2 files for 'good0': {folder / 'good0.npy'} and {folder / 'again' / 'good0.npy'}",
    ):
        assert expected in text


def test_crop_files_missing_doubled_or_of_different_length(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "b").mkdir(parents=True)
    for name in ("full", "lacking", "uneven"):
        for crop in range(5):
            if (name, crop) not in (("lacking", 1), ("lacking", 3)):
                np.save(folder / f"{name}__{crop}.npy", made(0, 7 if (name, crop) == ("uneven", 2) else 6, 4))
    np.save(folder / "b" / "full__2.npy", made(0, 6, 4))
    text = refusal(folder)
    assert text.startswith("3 problem(s)")
    assert "'lacking': no file of crop 1, 3 (files are numbered 0 to 4)" in text
    assert "2 files for 'full', crop 2" in text
    assert "'uneven': its files differ in length" in text
    assert f"{folder / 'uneven__2.npy'}: 7" in text


def test_other_numbers_of_crops_must_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for crop in range(2):
        np.save(folder / f"a__{crop}.npy", made(crop, 6, 4))
    assert "2 crops: names are known for 1, 5, 10; name them with --crop-names" in refusal(folder)
    assert "--crop-names gives 1 name(s) (left) for 2 different crop(s)" in refusal(folder, crop_names=("left",))
    assert imported([folder], tmp_path / "set", crop_names=("left", "right")).spec.crops == ("left", "right")


def test_32_rows_everywhere_are_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in "ab":
        np.savetxt(folder / f"{name}.txt", made(ord(name), 32, 6))
    assert "all 2 videos have exactly 32 rows" in refusal(folder)
    done = imported([folder], tmp_path / "set", segments=True)
    assert done.spec.snippet_frames is None
    assert done.videos["a"].edges() is None
    assert imported([folder], tmp_path / "other", snippet_frames=16).spec.snippet_frames == 16
    assert "--segments and --snippet-frames contradict each other" in refusal(folder, segments=True, snippet_frames=16)


def test_grid_and_catalogue_say_which_frames(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in "abc":
        np.save(folder / f"{name}.npy", made(ord(name), 5, 4))
    (tmp_path / "grid.csv").write_text("name,snippet_frames,frames,fps\na,32,150,\nb,64,,\nd,16,,\n")
    catalogue = Catalogue([Video("b", "b.mp4", num_frames=301, fps=25.0), Video("x", "x.mp4", num_frames=9)], "lists")
    options = ImportOptions(encoder="x3d")
    grid, known = read_grid(tmp_path / "grid.csv"), timings_of(catalogue)
    paths = find_files([folder]).paths
    with pytest.raises(UserError, match="'c': --grid has no line for it"):
        plan_import(paths, options, grid=grid, known=known)
    plan = plan_import(paths[:2], options, grid=grid, known=known)
    assert "1 of the grid lines have no features here, e.g. 'd'" in plan.notes
    assert "1 video(s) are none of the catalogue's videos, e.g. 'a'" in plan.notes
    videos = import_features(plan, tmp_path / "set").videos
    assert (videos["a"].snippet_frames, videos["a"].frames, videos["a"].fps) == (32, 150, None)
    assert (videos["b"].snippet_frames, videos["b"].frames, videos["b"].fps) == (64, 301, 25.0)


def test_frames_are_counted_in_the_file_where_no_list_states_them(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number in range(37):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8))))
        container.mux(stream.encode(None))
    sound, broken = Video("a", str(tmp_path / "a.mp4")), Video("b", str(tmp_path / "b.mp4"))
    assert timings_of(Catalogue([sound], "x")) == {"a": Timing(None, 37, 25.0)}
    with pytest.raises(UserError, match=r"1 video\(s\) of x cannot be read:\n  - .*b\.mp4"):
        timings_of(Catalogue([sound, broken], "x"))


def test_bad_grid_files_name_every_line(tmp_path: Path) -> None:
    file = tmp_path / "grid.csv"
    file.write_text("name,snippet_frames\na,0\nb,x\na,16\n,16\nc\nd,16\nd,16\n")
    with pytest.raises(UserError) as error:
        read_grid(file)
    text = str(error.value)
    assert "5 bad line(s)" in text
    assert "grid.csv:2: snippet_frames is '0'; it must be a positive integer" in text
    assert "grid.csv:8: 'd' for the second time" in text
    file.write_text("name,snipet_frames\n")
    with pytest.raises(UserError, match="did you mean 'snippet_frames'"):
        read_grid(file)
    assert timing_of("gone", {}, {}) == Timing()


def test_a_second_import_adds_and_replaces(tmp_path: Path) -> None:
    for number, names in enumerate(("ab", "bc")):
        (tmp_path / f"files{number}").mkdir()
        for name in names:
            np.save(tmp_path / f"files{number}" / f"{name}.npy", np.full((3 + number, 4), number, np.float32))
        done = imported([tmp_path / f"files{number}"], tmp_path / "set")
    assert [(name, int(done.read(name)[0, 0, 0])) for name in done.videos] == [("a", 0), ("b", 1), ("c", 1)]
    with pytest.raises(UserError, match="features of another kind"):
        imported([tmp_path / "files0"], tmp_path / "set", encoder="clip")


def test_sources_without_features_say_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with pytest.raises(UserError, match="it is empty"):
        find_files([tmp_path / "files"])
    (tmp_path / "files" / "all.pkl").write_bytes(b"x")
    with pytest.raises(UserError, match=r"there are 1 file\(s\): \.pkl"):
        find_files([tmp_path / "files"])
    with pytest.raises(UserError, match="give a folder of feature files, or a list file"):
        find_files([tmp_path / "gone"])
    np.save(tmp_path / "files" / "a.npy", made(0, 2, 2))
    assert any("1 file(s) that are not .npy left alone" in note for note in find_files([tmp_path / "files"]).notes)
    with pytest.raises(UserError, match="listed twice"):
        find_files([tmp_path / "files", tmp_path / "files"])
    done = imported([tmp_path / "files"], tmp_path / "set")
    with pytest.raises(UserError, match="is a feature set of ours already"):
        find_files([done.folder])


def test_export_refuses_what_could_not_be_read_back(tmp_path: Path) -> None:
    features = a_set(tmp_path / "set", {"a": 3, "b/c": 32}, 5)
    with pytest.raises(UserError, match="'b/c' cannot name a file"):
        export_features(features, "crop_files", tmp_path / "out")
    with pytest.raises(UserError, match=r"holds one crop, the set has 5: choose with --crop \(centre"):
        export_features(features, "snippets_dim", tmp_path / "out")
    with pytest.raises(UserError, match="'a': 3 snippets; C3D text has 32"):
        export_features(features, "c3d_text", tmp_path / "out", names=["a"], crop="centre")
    assert not (tmp_path / "out").exists()
    export_features(features, "snippets_dim", tmp_path / "out", names=["a"], crop="top_right", dtype="float16")
    assert np.array_equal(np.load(tmp_path / "out/a.npy"), features.read("a")[:, 2].astype(np.float16))
    with pytest.raises(UserError, match=r"holds 1 other file\(s\), e\.g\. a\.npy"):
        export_features(features, "crop_files", tmp_path / "out", names=["a"])


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no ../shared/real/ucf_crime_features beside the checkout")
def test_real_features_with_their_own_grid(tmp_path: Path) -> None:
    truth = json.loads((PUBLISHED / "dev_ground_truth.json").read_text())
    with open(tmp_path / "grid.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "snippet_frames", "frames"))
        writer.writerows((name, video["frames_per_segment"], video["num_frames"]) for name, video in truth.items())
    plan = plan_import(
        find_files([PUBLISHED / "dev"]).paths, ImportOptions(encoder="x3d_l"), grid=read_grid(tmp_path / "grid.csv")
    )
    done = import_features(plan, tmp_path / "set")
    assert len(done.videos) == 137
    assert (done.spec.dim, done.spec.crops) == (512, ("centre",))
    assert np.array_equal(done.read("d0001")[:, 0], np.load(PUBLISHED / "dev" / "d0001.npy"))
    for name, video in truth.items():
        edges = done.videos[name].edges()
        assert edges is not None
        assert abs(int(edges[-1]) - video["num_frames"]) <= video["frames_per_segment"]


def test_an_export_that_a_type_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path / "set", FeatureSpec(encoder="e", weights_sha256=None, dim=3), "float32")
    writer.add("v", np.array([[[1, 1e5, 1]]], np.float32))
    features = writer.finish()
    with pytest.raises(UserError, match=r"too large for float16 \(beyond 65504\): 'v': 1 of 1 snippets"):
        export_features(features, "snippets_dim", tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()
    export_features(features, "snippets_dim", tmp_path / "out", dtype="float32")
