"""What training loops do when something goes wrong, in one process; several: tests of the loops themselves."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator

from pretrain.errors import UserError
from pretrain.guards import NotFinite, find_not_finite, main_process_does

NAN, ONE = torch.tensor(float("nan")), torch.tensor(1.0)


def test_a_save_that_fails_is_told_with_its_own_words() -> None:
    done: list[int] = []
    main_process_does(Accelerator(cpu=True), lambda: done.append(1))
    assert done == [1]

    def full() -> None:
        raise OSError(28, "No space left on device", "state.safetensors")

    with pytest.raises(UserError, match=r"No space left on device: 'state\.safetensors'"):
        main_process_does(Accelerator(cpu=True), full)

    def wrong() -> None:
        raise ZeroDivisionError  # a fault of ours: not dressed up as the user's

    with pytest.raises(ZeroDivisionError):
        main_process_does(Accelerator(cpu=True), wrong)


def test_what_is_not_finite_is_named() -> None:
    accelerator = Accelerator(cpu=True)
    parts = {"loss": NAN, "speed": ONE, "order": NAN}
    assert find_not_finite(accelerator, ONE, ONE, {"speed": ONE}, ["a"]) is None
    assert find_not_finite(accelerator, NAN, ONE, parts, ["b", "a"]) == NotFinite(["order"], ["a", "b"])
    assert find_not_finite(accelerator, ONE, torch.tensor(torch.inf), {"speed": ONE}, ["a"]) == NotFinite([], ["a"])
