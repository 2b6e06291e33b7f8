"""Old names of flags and settings say the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.renamed import RENAMED, new_name

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


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
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
