"""Writers that are killed: what is lost, left over or does not go on is counted."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import faults_kills
from benchmarks.faults_folders import copy
from benchmarks.faults_kills import Kill, try_kill
from benchmarks.faults_world import Writer
from pretrain.errors import UserError
from pretrain.files import replacing


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


def test_an_undisturbed_writer_that_fails_is_an_error(root: Path) -> None:
    class Failing(Counting):
        def run(self) -> None:
            raise UserError("no")

    failing = Failing(name="failing", module="none", flags=(), outputs=())
    with pytest.raises(UserError, match=r"failing failed with nothing disturbing it \(message\)"):
        faults_kills.undisturbed(failing, root)
