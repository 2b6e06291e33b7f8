"""Which part of its input a network's map is made of, found by trying: what it drops at an edge, no cell has seen.

A network that halves 102 pixels without padding makes 51, 25, 12, ... of them: the last pixels take part in nothing.
One that pads makes cells of which the last lies half outside. Both depend on network, size and stage, and are written
nowhere, so pixels are changed and the cells that move are looked at. Networks that halve, and sizes that come out even
at every step, need no trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from downstream.features.feature_spec import Grid
from pretrain.backbones import Clip
from pretrain.errors import UserError

AXES: tuple[Literal["height", "width"], ...] = ("height", "width")
UNMOVED = 1e-7
"""A change of a map below this share of its highest value is rounding."""


class Reach(NamedTuple):
    """The part of a network's input that its map is made of, as shares of height and width; cells divide it evenly."""

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0


WHOLE = Reach()
"""All of it."""


def find_reach(what: str, net: nn.Module, map_of: Callable[[Tensor], Tensor], clip: Clip, own: Grid) -> Reach:
    """The reach of a network's map of `own` rows and columns, for such clips.

    `map_of`: clips (1, 3, T, H, W) on the CPU -> map (1, D, T', rows, columns) by `net`, in evaluation mode. UserError
    where cells would not be of one size (`what` names the network).
    """
    steps = _steps(net)
    patches, most = {step for step in steps if step.bit_count() != 1}, math.prod(steps)
    trial: _Trial | None = None
    spans = []
    for axis, (length, cells) in enumerate(zip((clip.height, clip.width), own, strict=True)):
        if _is_plain(length, cells, patches, most):
            spans.append((0, length))
            continue
        trial = trial or _Trial(map_of, clip)
        spans.append(_span(trial, axis, length))
        _check_even(what, trial, axis, length, cells, spans[-1], halves=not patches)
    (top, bottom), (left, right) = spans
    return Reach(top / clip.height, left / clip.width, bottom / clip.height, right / clip.width)


def _is_plain(length: int, cells: int, patches: set[int], most: int) -> bool:
    """Whether each cell stands for as many pixels as the network's own steps make: nothing was left at any of them.

    `patches`: steps that are no halving. One alone may be the whole way (14 of many transformers). `most`: all steps
    one after the other; a cell of more pixels lost some on the way.
    """
    each, rest = divmod(length, cells)
    return rest == 0 and (patches == {each} or (not patches and each.bit_count() == 1 and each <= most))


def _steps(net: nn.Module) -> list[int]:
    """Strides of the network's convolutions and poolings over the picture, the larger of height and width."""
    strides = (getattr(module, "stride", None) for module in net.modules())
    sides = ((stride if isinstance(stride, tuple) else (stride,))[-2:] for stride in strides)
    return [max(own) for own in sides if all(isinstance(side, int) and side > 0 for side in own)]


class _Trial:
    """A clip of noise, its map, and what becomes of that when some of its lines are others."""

    def __init__(self, map_of: Callable[[Tensor], Tensor], clip: Clip) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (1, 3, clip.frames, clip.height, clip.width)
        self._clip, self._other = (torch.randn(shape, generator=generator) for _ in range(2))
        self._map_of = map_of
        self._plain = map_of(self._clip)

    def moved(self, axis: int, start: int, end: int) -> Tensor:
        """bool (rows, columns): cells that move with the lines `[start, end)` of the height (axis 0) or the width."""
        changed = self._clip.clone()
        changed.narrow(3 + axis, start, end - start).copy_(3 * self._other.narrow(3 + axis, start, end - start))
        change = (self._map_of(changed) - self._plain).abs().amax(dim=(0, 1, 2))
        return change > UNMOVED * float(self._plain.abs().max())

    def moves_any(self, axis: int, start: int, end: int) -> bool:
        """Whether those lines take part in the map at all."""
        return bool(self.moved(axis, start, end).any())


def _span(trial: _Trial, axis: int, length: int) -> tuple[int, int]:
    """First line that takes part, and one past the last; all of a network that answers to nothing."""
    if not trial.moves_any(axis, 0, length):
        return 0, length
    end = length
    if not trial.moves_any(axis, length - 1, length):
        end = _first(1, length, lambda place: not trial.moves_any(axis, place, length))
    begin = 0
    if not trial.moves_any(axis, 0, 1):
        begin = _first(1, end, lambda place: trial.moves_any(axis, 0, place)) - 1
    return begin, end


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The lowest number in [low, high] from which on it holds; it holds at `high`."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _check_even(
    what: str, trial: _Trial, axis: int, length: int, cells: int, span: tuple[int, int], halves: bool
) -> None:
    """`halves`: all of the network's steps are powers of two, so each cell's pixels are, or they differ."""
    begin, end = span
    each, rest = divmod(end - begin, cells)
    if rest == 0 and each and (each.bit_count() == 1 or not halves):
        # a network that pads may divide evenly by chance: then the outer cells do not see what would be theirs
        last = trial.moved(axis, end - each, end - each + 1).select(axis, cells - 1)
        first = trial.moved(axis, begin + each - 1, begin + each).select(axis, 0)
        if bool(last.any()) and bool(first.any()):
            return
    step = 2 ** round(math.log2(max(1.0, (end - begin) / cells)))
    lower = max(step, length // step * step)
    raise UserError(
        f"the map of {what} has {cells} {('rows', 'columns')[axis]} for frames of {AXES[axis]} {length}: its cells are "
        f"not of one size, and boxes would lie beside what they saw; take a {AXES[axis]} of {lower} or {lower + step}"
    )
