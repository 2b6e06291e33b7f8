"""Old names of flags and settings say the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.training.config import FinetuneConfig
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.renamed import OF_ANOTHER_UNIT, RENAMED, new_name

FLAGS = Path(__file__).parents[1] / "flags.txt"


def test_an_old_flag_names_the_new_one() -> None:
    with pytest.raises(UserError) as error:
        parse(PretrainConfig, ["--tasks.order.min-gap-frames", "3"], "pretrain.py")
    assert str(error.value) == (
        "--tasks.order.min-gap-frames is now called --tasks.temporal-order.min-gap-frames "
        "(in files: tasks.temporal_order.min_gap_frames); give it under that name"
    )
    with pytest.raises(UserError, match=r"^--tasks.order.weight is now called"):
        parse(PretrainConfig, ["--tasks.order.weight=0"], "pretrain.py")


def test_so_does_an_old_key_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("tasks: {order: {weight: 0}}\n")
    with pytest.raises(UserError, match=r"in files: tasks.temporal_order.weight"):
        parse(PretrainConfig, [str(file)], "pretrain.py")


def test_whole_names_alone_are_renamed() -> None:
    assert new_name("objective.contrastive.weight") == "objective.contrastive-clustering.weight"
    assert new_name("objective.contrastive-clustering.weight") is None
    assert new_name("tasks.ordering") is None
    parsed = parse(PretrainConfig, ["--tasks.temporal-order.weight", "0"], "pretrain.py")
    assert parsed.tasks.temporal_order.weight == 0


def test_frames_are_not_taken_for_seconds() -> None:
    with pytest.raises(UserError) as error:
        parse(FinetuneConfig, ["--evaluation.merge-gap-frames", "25"], "finetune.py")
    assert str(error.value) == (
        "--evaluation.merge-gap-frames counted frames; give --evaluation.merge-seconds, in seconds, in its place"
    )


@pytest.mark.parametrize("name", ["objective.contrastive.max-instances", "detector.layers"])
def test_a_constant_is_told(name: str) -> None:
    with pytest.raises(UserError, match=f"^--{name} is a constant now"):
        parse(FinetuneConfig, [f"--{name}", "3"], "finetune.py")


def test_what_fine_tuning_still_has_is_a_constant_of_pretraining_alone() -> None:
    assert parse(FinetuneConfig, ["--optim.clip-norm", "2"], "finetune.py").optim.clip_norm == 2
    with pytest.raises(UserError, match=r"^--optim.clip-norm is a constant now"):
        parse(PretrainConfig, ["--optim.clip-norm", "2"], "pretrain.py")


def test_a_flag_that_a_command_never_had_is_not_said_to_be_renamed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(PretrainConfig, ["--together"], "pretrain.py")
    assert "ensemble" not in capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), [*RENAMED.items(), *OF_ANOTHER_UNIT.items()])
def test_either_name_is_a_flag_of_some_command_and_never_both(old: str, new: str) -> None:
    """A command that has a flag under an old name keeps it; but none may have both, and the new name must be there."""
    by_command: dict[str, list[str]] = {}
    for line in FLAGS.read_text(encoding="utf-8").splitlines():
        command, flag = line.split()
        by_command.setdefault(command, []).append(flag)
    has = {
        name: {command for command, flags in by_command.items() if any(under(flag, name) for flag in flags)}
        for name in (old, new)
    }
    assert has[old] | has[new]
    assert not has[old] & has[new]


def under(flag: str, name: str) -> bool:
    return flag == f"--{name}" or flag.startswith(f"--{name}.")
