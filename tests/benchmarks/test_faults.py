"""The benchmark of faults notices faults: planted tracebacks, hangs, leftovers and changed files are counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import faults_children, faults_kills, faults_mutations, faults_odd, faults_rounds
from benchmarks.faults_compare import differences, digests, temporary_files
from benchmarks.faults_config import FaultsConfig
from benchmarks.faults_damage_arrays import NPY, NPZ, SAFETENSORS
from benchmarks.faults_damage_containers import HDF5, MAT, ONNX, TORCH
from benchmarks.faults_damage_json import JSON, JSON_LINES, nodes
from benchmarks.faults_damage_text import BYTES, TEXT, YAML, Ways
from benchmarks.faults_folders import copy, sync
from benchmarks.faults_kills import Kill, try_kill
from benchmarks.faults_mutations import Mutation, Result, kinds, prepare, result_of, shares, try_mutation
from benchmarks.faults_mutators import IN_PLACE, mutate
from benchmarks.faults_reader import Reader
from benchmarks.faults_readers import ALL_READERS, READERS, files_of
from benchmarks.faults_world import WRITERS, Writer, make_videos
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.video import probe
from pretrain.errors import UserError
from pretrain.files import replacing, write_json, write_text
from tests.paths import ROOT
from tests.pretrain.tiny_onnx import write_net

SHORT = faults_children.Limits(cpu_seconds=1, wall_seconds=10, idle_seconds=1, memory_mb=400)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "world"
    folder.mkdir()
    return folder


def child(work: Callable[[], Any], root: Path) -> faults_children.Outcome:
    return faults_children.run_child(work, root, SHORT)


# -- children -------------------------------------------------------------------------------------------------------


def test_a_child_answers_where_it_stands_and_its_words_are_kept(root: Path) -> None:
    def work() -> str:
        print("said this")
        return os.getcwd()

    outcome = child(work, root)
    assert (outcome.kind, outcome.value, outcome.status, outcome.last_words) == ("data", str(root), 0, "said this")


def test_every_way_to_fall_is_told_from_a_message(root: Path) -> None:
    def refuse() -> None:
        raise UserError("x is 3; it must be 2")

    def break_down() -> None:
        raise KeyError("format")

    def spin() -> None:
        while True:
            pass

    def wait() -> None:
        time.sleep(60)

    def grow() -> None:
        bytearray(2 << 30)

    def crash() -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def mumble() -> int:
        return 3

    def in_a_thread() -> None:
        import threading

        threading.Thread(target=break_down).start()

    outcomes = [child(work, root) for work in (refuse, break_down, spin, wait, grow, crash, mumble, in_a_thread)]
    wanted = ["message", "traceback", "hang", "hang", "memory", "crash", "silent", "traceback"]
    assert [outcome.kind for outcome in outcomes] == wanted
    assert outcomes[0].last_words == "error: x is 3; it must be 2"
    assert outcomes[1].last_words == "KeyError: 'format'"


def test_a_child_ends_as_an_interpreter_does(root: Path) -> None:
    def work() -> None:
        import atexit

        atexit.register(lambda: Path("left").touch())

    assert child(work, root).kind == "data"
    assert (root / "left").exists()


# -- comparing ------------------------------------------------------------------------------------------------------


def test_the_comparison_notices_what_changed_and_not_when(root: Path) -> None:
    write_json(root / "run" / "summary.json", {"seconds": 3.5, "loss": 0.25})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "time": 17.5, "speed/clips": 3, "loss": 1}\n')
    write_text(root / "run" / "page.html", "<dt>Written</dt><dd>2026-01-01 10:00</dd><p>text</p>")
    (root / "run" / "a.npy").write_bytes(b"abc")
    wanted = digests(root, ["run"])
    write_json(root / "run" / "summary.json", {"seconds": 9.5, "loss": 0.25})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "time": 99.5, "speed/clips": 8, "loss": 1}\n')
    write_text(root / "run" / "page.html", "<dt>Written</dt><dd>2027-02-02 11:11</dd><p>text</p>")
    assert differences(wanted, digests(root, ["run"])) == []
    write_json(root / "run" / "summary.json", {"seconds": 9.5, "loss": 0.26})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "loss": 1}\n{"step": 1, "loss": 1}\n')
    (root / "run" / "a.npy").unlink()
    (root / "run" / "b.npy").touch()
    assert differences(wanted, digests(root, ["run"])) == [
        "missing: run/a.npy",
        "differs: run/log.jsonl",
        "differs: run/summary.json",
        "one more: run/b.npy",
    ]


def test_unfinished_files_and_folders_are_found(root: Path) -> None:
    (root / ".old.12.tmp.json").touch()
    before = [root / ".old.12.tmp.json"]
    (root / "run" / ".step-3.77.tmp").mkdir(parents=True)
    (root / "run" / ".lock").touch()
    (root / "run" / ".a.99.tmp.npy").touch()
    assert temporary_files(root, before) == ["run/.a.99.tmp.npy", "run/.step-3.77.tmp"]


def test_a_folder_is_made_what_it_was(root: Path, tmp_path: Path) -> None:
    for name in ("a/b.txt", "a/c.txt", "d.txt"):
        write_text(root / name, name)
    copy(root, tmp_path / "keep")
    (root / "a" / "b.txt").unlink()
    (root / "a" / "b.txt").symlink_to("c.txt")
    (root / "d.txt").unlink()
    os.mkfifo(root / "d.txt")
    (root / "more" / "x").mkdir(parents=True)
    sync(root, tmp_path / "keep")
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["a", "a/b.txt", "a/c.txt", "d.txt"]
    assert [(root / name).read_text() for name in ("a/b.txt", "d.txt")] == ["a/b.txt", "d.txt"]


# -- damage ---------------------------------------------------------------------------------------------------------


def sample(ending: str, folder: Path) -> bytes:
    """A file of each ending that can be damaged, as its bytes."""
    path = folder / f"sample{ending}"
    array = np.arange(40, dtype=np.float32).reshape(8, 5)
    if ending == ".npy":
        np.save(path, array)
    elif ending == ".npz":
        np.savez(path, header=np.frombuffer(b'{"version": 1, "facts": {"fps": 25.0}}', np.uint8), pts=array)
    elif ending == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"weight": array}, path, {"content": "{}"})
    elif ending == ".h5":
        pytest.importorskip("h5py").File(path, "w")["a"] = array
    elif ending == ".mat":
        pytest.importorskip("scipy.io").savemat(path, {"a": array})
    elif ending == ".pt":
        torch.save(torch.from_numpy(array), path)
    elif ending == ".onnx":
        pytest.importorskip("onnx")
        write_net(path, [1, 3, 8, 8])
    else:
        value = '{"format": "x/1", "videos": [{"name": "a", "frames": 30}], "fps": 25.5}'
        path.write_text(value if ending.startswith(".js") else "name,frames: 30\nv1, 25.5\n")
    return path.read_bytes()


WAYS: dict[str, Ways] = {
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".yaml": YAML,
    ".txt": TEXT,
    ".npy": NPY,
    ".npz": NPZ,
    ".safetensors": SAFETENSORS,
    ".h5": HDF5,
    ".mat": MAT,
    ".pt": TORCH,
    ".onnx": ONNX,
    ".mp4": BYTES,
}


@pytest.mark.parametrize("ending", WAYS)
def test_every_way_of_damage_changes_something_and_follows_from_the_seed(ending: str, tmp_path: Path) -> None:
    before = sample(ending, tmp_path)
    for name, damage in WAYS[ending]:
        if name in ("a zip bomb", "a bomb in it"):  # a second of packing
            continue
        tries = [damage(before, np.random.default_rng(seed)) for seed in range(30)]
        again = [damage(before, np.random.default_rng(seed)) for seed in range(30)]
        assert tries == again, name
        assert any(after != before for after in tries), f"{name} changes nothing"


def test_a_mutation_follows_from_the_seed_and_leaves_another_file(tmp_path: Path) -> None:
    before = sample(".json", tmp_path)
    path, seen = tmp_path / "a.json", set()
    for seed in range(60):
        results = []
        for _ in range(2):
            path.unlink(missing_ok=True)
            path.write_bytes(before)
            what = mutate(path, np.random.default_rng(seed))
            is_file = path.is_file() and not path.is_symlink()
            results.append((what, path.stat().st_size if is_file else None))
            if is_file and path.stat().st_size < 1 << 30:
                assert path.read_bytes() != before, what
            if path.is_dir():
                path.rmdir()
        assert results[0] == results[1]
        seen.add(what)
    assert len(seen) > 15
    assert seen & {name for name, _ in IN_PLACE}


def test_every_value_of_a_json_text_can_be_reached() -> None:
    value = {"a": [1, {"b": 2}], "c": "d"}
    assert [key for _, key in nodes(value)] == ["a", "c", 0, 1, "b"]


# -- kills ----------------------------------------------------------------------------------------------------------


class Counting(Writer):
    """Writes five files; goes on where it was. `careless`: it begins again in the middle of one."""

    def run(self) -> None:
        careless, left = "careless" in self.flags, Path("out", ".work.tmp.txt")
        goes_on = Path("out").exists()
        if "untidy" in self.flags:  # under a name that no process stands in: nobody can tell whose it is
            left.parent.mkdir(exist_ok=True)
            left.write_text("half")
        for number in range(5):
            path = Path("out", f"{number}.txt")
            if careless:
                path.parent.mkdir(exist_ok=True)
                with open(path, "a") as file:
                    file.write("line\n")
            elif not path.exists():
                with replacing(path) as temporary:
                    temporary.write_text("line\n")
        if "untidy" in self.flags and not goes_on:
            left.unlink()
        raise SystemExit(0)


def writer(*flags: str) -> Counting:
    return Counting(name="counting", module="none", flags=flags, outputs=("out",))


def kills_of(own: Writer, root: Path, count: int = 6) -> list[Kill]:
    whole = faults_kills.undisturbed(own, root)
    assert len(whole.writes) >= 5
    keep = root.parent / "keep"
    copy(root, keep)
    return [try_kill(own, whole, root, keep, 0, number) for number in range(0, 2 * count, 2)]


def test_a_writer_that_goes_on_loses_nothing(root: Path) -> None:
    tried = kills_of(writer(), root)
    assert not [kill for kill in tried if kill.fell], tried
    assert len({kill.how for kill in tried}) > 2
    assert {kill.number for kill in tried if ", again after " in kill.how} == {2, 8}
    assert sorted(path.name for path in (root / "out").iterdir()) == [f"{number}.txt" for number in range(5)]


def test_what_a_careless_writer_loses_is_counted(root: Path) -> None:
    assert any("differs: out/" in " ".join(kill.problems) for kill in kills_of(writer("careless"), root))


def test_what_an_untidy_writer_leaves_is_counted(root: Path) -> None:
    tried = kills_of(writer("untidy"), root, count=4)
    assert any(kill.temporary for kill in tried)
    assert not any(kill.problems for kill in tried)


def test_a_kill_at_a_time_and_a_process_that_outlives_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_kills, "ORPHANS_SECONDS", 0.3)

    def leave_one_behind() -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        time.sleep(60)

    assert faults_kills.run_and_kill(leave_one_behind, root, 1.0) == 1
    assert faults_kills.run_and_kill(lambda: time.sleep(60), root, 0.1) == 0


def test_a_command_that_does_not_go_on_is_counted(root: Path) -> None:
    class Refusing(Counting):
        def run(self) -> None:
            raise UserError("out is half of something")

    assert faults_kills.go_on(Refusing(name="r", module="none", flags=(), outputs=("out",)), root) == [
        "does not go on (message: error: out is half of something)"
    ]


# -- mutations ------------------------------------------------------------------------------------------------------


def read_strictly() -> str:
    """A reader as it should be."""
    try:
        content = Path("card.json").read_bytes() if Path("card.json").stat().st_size < 1 << 20 else b""
        return str(sorted(json.loads(content)["videos"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"card.json cannot be read ({error})") from error


def read_carelessly() -> str:
    """A reader as it should not be."""
    return str(sorted(json.loads(Path("card.json").read_text())["videos"]))


def reader(run: Callable[[], Any], *, is_cache: bool = False) -> Reader:
    def make() -> None:
        write_json(Path("card.json"), {"videos": ["a", "b"], "fps": 25})

    return Reader(name="cards", files=("*.json",), run=run, prepare=make, is_cache=is_cache)


def mutations_of(own: Reader, root: Path, count: int = 16) -> list[Mutation]:
    keep = root.parent / "keep"
    truth = prepare([own], root, keep)
    limits = faults_mutations.LIMITS
    faults_mutations.LIMITS = SHORT
    try:
        return [try_mutation(own, truth["cards"], root, keep, 0, number) for number in range(count)]
    finally:
        faults_mutations.LIMITS = limits


def test_a_careless_reader_is_found_out(root: Path) -> None:
    tried = mutations_of(reader(read_carelessly), root)
    assert {"traceback", "the same"} <= {mutation.result for mutation in tried}
    fallen = [mutation for mutation in tried if mutation.result == "traceback"]
    assert any("Error" in kind for kind in kinds(fallen))
    assert (root / "card.json").read_bytes() == (root.parent / "keep" / "card.json").read_bytes()


def test_only_a_pipe_stops_a_reader_that_asks_for_the_size_first(root: Path) -> None:
    tried = mutations_of(reader(read_strictly), root)
    assert not [
        mutation for mutation in tried if mutation.fell and mutation.damage not in ("a pipe", "a link to /dev/zero")
    ]
    assert {"message", "the same"} <= {mutation.result for mutation in tried}


def test_a_cache_that_is_believed_counts_and_a_list_that_reads_otherwise_does_not() -> None:
    other = faults_children.Outcome(kind="data", value="b")
    assert result_of(other, reader(read_strictly), "a") == "other data"
    assert result_of(other, reader(read_strictly, is_cache=True), "a") == "wrong frames"
    assert result_of(other, reader(read_strictly), "b") == "the same"


def test_a_reader_that_fails_undamaged_or_has_no_file_is_an_error(root: Path) -> None:
    with pytest.raises(UserError, match=r"reader 'cards' fails on undamaged files \(traceback\)"):
        prepare([reader(lambda: 1 // 0)], root, root.parent / "keep")
    nothing = Reader(name="none", files=("*.csv",), run=lambda: "x")
    with pytest.raises(UserError, match=r"reader 'none' has no file: \*\.csv stands for none"):
        prepare([nothing], root, root.parent / "keep2")


def test_mutations_are_shared_out_by_weight() -> None:
    readers = [Reader(name=str(weight), files=(), run=read_strictly, weight=weight) for weight in (2.0, 1.0, 0.01)]
    assert shares(readers, 100) == {"2.0": 66, "1.0": 33, "0.01": 1}
    assert sum(shares(READERS, 2000).values()) == 2000
    assert min(shares(READERS, 2000).values()) >= 1


# -- the small world, odd files, the whole ----------------------------------------------------------------------------


def test_the_world_has_videos_that_a_catalogue_opens(root: Path) -> None:
    make_videos(root)
    for config in (
        CatalogueConfig(kind="json", root=root / "videos"),
        CatalogueConfig(kind="csv", root=root / "videos"),
    ):
        videos = open_catalogue(config)
        assert len(videos) == 10
        assert [video.label for video in videos.subset("test")] == [0, 1]
    assert probe(root / "videos" / "v9.mp4").num_frames == 80
    assert probe(root / "frames" / "walk").num_frames == 20
    first = (root / "videos" / "v9.mp4").read_bytes()
    make_videos(root)
    assert (root / "videos" / "v9.mp4").read_bytes() == first


def test_a_reader_whose_packages_are_missing_is_left_out() -> None:
    assert Reader(name="x", files=(), run=read_strictly, needs=("torch", "no_such_package")).lacks == (
        "no_such_package",
    )
    assert set(READERS) | {reader for reader in ALL_READERS if reader.lacks} == set(ALL_READERS)
    assert not any(reader.lacks for reader in READERS)


def test_names_are_unique_and_trials_have_keys_that_only_takes() -> None:
    for names in ([writer.name for writer in WRITERS], [reader.name for reader in READERS]):
        assert len(set(names)) == len(names)
        assert not [name for name in names if ":" in name]
    assert faults_rounds.chosen("kill", "detect", 4, 2, ()) == [8, 9, 10, 11]
    assert faults_rounds.chosen("kill", "detect", 4, 0, ("kill:detect:7", "kill:report:1")) == [7]
    assert faults_rounds.chosen("kill", "detect", 2, 0, ("kill:detect",)) == [0, 1]
    with pytest.raises(UserError, match=r"there is no 'detct'; did you mean 'detect'\?"):
        faults_rounds.check_names(FaultsConfig(only=("kill:detct:7",)))
    with pytest.raises(UserError, match=r"only names 'detect'; give kill:WRITER:NUMBER"):
        FaultsConfig(only=("detect",))


def test_files_are_in_one_order_wherever_the_world_lies(tmp_path: Path) -> None:
    own = Reader(name="x", files=("*/*.txt", "*/*.csv"), run=read_strictly)
    for place, names in (("one", "ab"), ("two", "ba")):
        for name, text in zip(names, ("first", "second"), strict=True):
            write_text(tmp_path / place / name / "x.txt", text)
        write_text(tmp_path / place / "empty" / "x.txt", "")
    (texts,), (others,) = (files_of(own, tmp_path / place) for place in ("one", "two"))
    assert [path.read_text() for path in texts] == [path.read_text() for path in others]
    assert {path.read_text() for path in texts} == {"first", "second"}


def test_odd_files_have_their_frames_or_a_reason(root: Path, tmp_path: Path) -> None:
    make_videos(root)
    folder = tmp_path / "data" / "odd_videos"
    assert "skipped: there is no " in faults_odd.missing(tmp_path / "data")
    for name in ("right.mp4", "wrong.mp4"):
        copy(root / "videos" / "v2.mp4", folder / name)
    write_text(folder / "broken.mp4", "no video" * 100)
    write_text(folder / "index.csv", "file,frames_decoded_by_ffmpeg\nright.mp4,48\nwrong.mp4,47\nbroken.mp4,\n")
    assert faults_odd.missing(tmp_path / "data") == ""
    tried = list(faults_odd.try_files(tmp_path / "data", root, faults_odd.listed(tmp_path / "data")))
    assert [(file.file, file.result, file.fell) for file in tried] == [
        ("right.mp4", "the same", False),
        ("wrong.mp4", "other frames", True),
        ("broken.mp4", "message", False),
    ]


def test_the_table_and_the_last_line_count_what_fell() -> None:
    results: tuple[Result, ...] = ("message", "the same", "traceback", "hang", "wrong frames", "other data")
    tally = faults_rounds.Tally(
        kills=[
            Kill(writer="detect", number=0, how="after 0.10 s"),
            Kill(writer="detect", number=1, how="before write 2 of 9", problems=["differs: a"], temporary=[".a.tmp"]),
        ],
        mutations=[
            Mutation(reader="cards", number=n, file="a", damage="cut off", result=result, last_words="KeyError: 'x'")
            for n, result in enumerate(results)
        ],
    )
    result = faults_rounds.result_of(FaultsConfig(seed=7), tally, 12.3)
    counted = ("seed", "kills", "kills_lost", "temporary_files", "mutations", "tracebacks", "hangs", "wrong_frames")
    assert [result[key] for key in counted] == [7, 2, 1, 1, 6, 1, 1, 1]
    text = "\n".join([*faults_rounds.table(tally), *faults_rounds.list_of_fallen(tally, 7)])
    assert "4 fell; again, alone: python -m benchmarks.faults --seed 7 --only KEY" in text
    assert "mutation:cards:2  a, cut off: traceback: KeyError: 'x'" in text
    assert "kill:detect:1  before write 2 of 9: differs: a; left: .a.tmp" in text
    assert "1  traceback, cards: KeyError" in text


def test_an_undisturbed_writer_that_fails_is_an_error(root: Path) -> None:
    class Failing(Counting):
        def run(self) -> None:
            raise UserError("no")

    failing = Failing(name="failing", module="none", flags=(), outputs=())
    with pytest.raises(UserError, match=r"failing failed with nothing disturbing it \(message\)"):
        faults_kills.undisturbed(failing, root)


def test_help_and_wrong_settings() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--kills", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2
    assert "kills is -1; it must be 0 or more" in shown.stderr


@pytest.mark.slow
def test_chosen_trials_run_in_a_world_of_their_own(tmp_path: Path) -> None:
    """The whole command: the world is built, what was chosen is tried, the last line counts it."""
    chosen = ("kill:export:1", "mutation:quarantine:3", "mutation:lists of json:1", "odd:x.mp4")
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults",
        "--out",
        tmp_path / "out",
        "--data",
        tmp_path,
        "--only",
        *chosen,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert f"odd files: skipped: there is no {tmp_path}/odd_videos/index.csv" in done.stdout
    *_, last = done.stdout.splitlines()
    result = json.loads(last.removeprefix("RESULT "))
    assert (result["seed"], result["kills"], result["mutations"], result["odd_files"]) == (0, 1, 2, 0)
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(written.pop("fallen")) == sum(line.startswith("fell: ") for line in done.stdout.splitlines())
    assert written == result
