from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pretrain import cli
from pretrain.cli import flags_of, parse, run_command, run_script
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.run_folder import as_json


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    flip: bool = False
    sizes: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    path: Path | None = None
    inner: Inner = field(default_factory=Inner)


def test_file_then_flags_and_the_later_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yml"
    first.write_text("name: b\npath: null\ninner:\n  rate: 0.5\n  flip: true\n  sizes: [3, 4]\n")
    second.write_text("inner: {rate: 0.25}\n")
    parsed = parse(Outer, [str(first), str(second), "--name", "c"], "x")
    assert parsed == Outer(name="c", inner=Inner(rate=0.25, flip=True, sizes=(3, 4)))


def test_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"no configuration file .*nothing.yaml"):
        parse(Outer, [str(tmp_path / "nothing.yaml")], "x")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1\n")
    with pytest.raises(UserError, match=r"bad.yaml is not YAML"):
        parse(Outer, [str(bad)], "x")
    bad.write_text("- 1\n")
    with pytest.raises(UserError, match=r"holds a list; it must hold"):
        parse(Outer, [str(bad)], "x")


def test_a_user_error_is_one_message_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise UserError("the thing is wrong: mend it")

    with pytest.raises(SystemExit) as caught:
        run_command(fail)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: the thing is wrong: mend it\n"


def test_a_saved_configuration_reads_back_as_it_was() -> None:
    config = PretrainConfig(seed=5, resume=True)
    assert parse(PretrainConfig, flags_of(as_json(config)), "config.json") == config


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose another folder"), (errno.ENOTDIR, "another path")],
)
def test_a_full_or_closed_disk_is_one_message(number: int, mend: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise OSError(number, os.strerror(number), "runs/a")

    with pytest.raises(SystemExit) as left:
        run_command(command)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: runs/a: {os.strerror(number)}; ")
    assert mend in said
    assert said.count("\n") == 1


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    def command() -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "inside.json")

    with pytest.raises(FileNotFoundError):
        run_command(command)


def test_threads_wait_without_a_core_of_their_own() -> None:
    """OpenMP reads it when PyTorch is loaded; too late, it changes nothing."""
    program = "import os, sys, pretrain; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["passive", "False"]


def test_a_script_parses_calls_and_leaves_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setattr(cli, "start_cpu_processes", lambda: started.append(True))
    called: list[Outer] = []

    def command(config: Outer) -> int | None:
        called.append(config)
        return 3 if config.name == "b" else None

    for several, name, status in ((False, "a", 0), (True, "b", 3)):
        with pytest.raises(SystemExit) as left:
            run_script("x", Outer, command, ["--name", name], several_processes=several)
        assert left.value.code == status
    assert called == [Outer(name="a"), Outer(name="b")]
    assert started == [True], "processes are started where asked for alone"


def test_wrong_flags_keep_the_launcher_quiet_and_help_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced: list[bool] = []
    monkeypatch.setattr(cli, "silence_launcher", lambda: silenced.append(True))
    for flag, status, times in (("--nonsense", 2, 1), ("--help", 0, 1)):
        with pytest.raises(SystemExit) as left:
            run_script("x", Outer, lambda config: None, [flag])
        assert (left.value.code, len(silenced)) == (status, times)
