"""Cells: features of places in the picture, out of a backbone's map, of its last stage or of an earlier, finer one."""

from __future__ import annotations

from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from downstream.features.feature_spec import Grid, Pool
from downstream.features.map_reach import Reach, find_reach
from pretrain.backbones import Backbone, BackboneSpec
from pretrain.errors import UserError, nearest


class CellNetwork(nn.Module):
    """Normalised clips (B, 3, T, H, W) -> features of cells (B, rows * columns, D), rows first.

    The mean over time and over a cell's part of the map; `mean_max`: beside it the highest of that part.
    """

    def __init__(
        self, backbone: Backbone, grid: Grid | Literal["map"], pool: Pool = "mean", stage: str | None = None
    ) -> None:
        """`map` takes the map's own cells; a smaller grid pools it (`pool`). `stage`: a module of the backbone's
        network that gives a map (B, D, T', H', W'); default: the backbone's own map.

        UserError: no such stage, one that gives no map of the picture, a grid finer than the map, or frames that the
        network divides into cells of different sizes.
        """
        super().__init__()
        self.backbone, self.pool, self.stage = backbone, pool, stage
        shape = self._dry_pass()
        self.grid: Grid = (shape[3], shape[4]) if grid == "map" else grid
        self.dim = shape[1] * (2 if pool == "mean_max" else 1)
        _check_grid(backbone.spec.name, stage, self.grid, (shape[3], shape[4]))
        self.reach = self._find_reach((shape[3], shape[4]))
        """Which part of a clip's frames cells are of."""

    def forward(self, clips: Tensor) -> Tensor:
        feature_map = self.map_of(clips).float().mean(dim=2)
        cells = functional.adaptive_avg_pool2d(feature_map, self.grid)
        if self.pool == "mean_max":
            cells = torch.cat([cells, functional.adaptive_max_pool2d(feature_map, self.grid)], dim=1)
        return rearrange(cells, "b d h w -> b (h w) d")

    def map_of(self, clips: Tensor) -> Tensor:
        """The map (B, D, T', H', W') that cells are made of."""
        if self.stage is None:
            feature_map: Tensor = self.backbone(clips)
            return feature_map
        # the network's later stages are not run: the stage's own output leaves through an exception
        handle = find_stage(self.backbone, self.stage).register_forward_hook(_leave_with)
        try:
            self.backbone(clips)
        except _Reached as reached:
            return map_of_clips(reached.output, clips.shape[0])
        finally:
            handle.remove()
        raise off_the_way(self.backbone, self.stage)

    @torch.no_grad()
    def _find_reach(self, own: Grid) -> Reach:
        spec, was_training = self.backbone.spec, self.backbone.training
        parameter = next(self.backbone.parameters())
        self.backbone.eval()
        try:
            return find_reach(
                f"stage '{self.stage}' of {spec.name}" if self.stage else spec.name,
                self.backbone.net,
                lambda clips: self.map_of(clips.to(parameter)).float().cpu(),
                spec.clip,
                own,
            )
        finally:
            self.backbone.train(was_training)

    @torch.no_grad()
    def _dry_pass(self) -> torch.Size:
        spec = self.backbone.spec
        if self.stage is None:
            return torch.Size((1, spec.feature_dim, *spec.map_size))
        device = next(self.backbone.parameters()).device
        was_training = self.backbone.training
        shape = self._map_shape(torch.zeros(1, 3, spec.clip.frames, spec.clip.height, spec.clip.width, device=device))
        self.backbone.train(was_training)
        return shape

    def _map_shape(self, clips: Tensor) -> torch.Size:
        """Shape of the stage's map; UserError where it is no map of the picture."""
        self.backbone.eval()
        spec = self.backbone.spec
        try:
            shape = self.map_of(clips).shape
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"stage '{self.stage}' of {spec.name} gives no feature map ({error})") from error
        refuse_other_shape(self.backbone, str(self.stage), shape)
        return shape


def map_of_clips(output: Tensor, clips: int) -> Tensor:
    """A stage's output as a map (B, D, T', H', W'): image networks see the frames of all clips as one batch.

    `clips`: `shape[0]` and not `len`, which a graph that is exported would take for the one number there is.
    """
    return rearrange(output, "(b t) d h w -> b d t h w", b=clips) if output.ndim == 4 else output


def off_the_way(backbone: Backbone, stage: str) -> UserError:
    """That a stage gave nothing."""
    return UserError(f"stage '{stage}' of {backbone.spec.name} is not on the way to its feature map")


def refuse_other_shape(backbone: Backbone, stage: str, shape: torch.Size) -> None:
    """UserError where a stage's output is no map (B, D, T', H', W') of the picture."""
    spec = backbone.spec
    if not _is_map(shape, spec) or getattr(backbone.net, "output_fmt", "NCHW") == "NHWC":
        raise UserError(
            f"stage '{stage}' of {spec.name} gives {tuple(shape)}, no map (B, D, T', H', W') of a picture of "
            f"{spec.clip.height}x{spec.clip.width}: choose another stage, or leave it out for the network's own map"
        )


def _is_map(shape: torch.Size, spec: BackboneSpec) -> bool:
    """Whether a stage's output can be (B, D, T', H', W'), with more than one cell, and is no map with channels last."""
    if len(shape) != 5 or max(shape[3:]) == 1 or min(shape[3:]) < 1:
        return False
    if shape[2] > spec.clip.frames or shape[3] > spec.clip.height or shape[4] > spec.clip.width:
        return False
    # height and width shrink alike, but for rounding
    down, across = spec.clip.height / shape[3], spec.clip.width / shape[4]
    return abs(down - across) <= max(1, 0.3 * down)


class _Reached(Exception):
    """The stage that was asked for has its output."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def _leave_with(_module: nn.Module, _inputs: Any, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise TypeError(f"its output is a {type(output).__name__}, not one tensor")
    raise _Reached(output)


def find_stage(backbone: Backbone, stage: str) -> nn.Module:
    """A module of a backbone's network by name; UserError naming what there is."""
    modules = dict(backbone.net.named_modules())
    if not stage or stage not in modules:
        shallow = [name for name in modules if name and name.count(".") < 2]
        raise UserError(
            f"{backbone.spec.name} has no stage '{stage}'{nearest(stage, modules) or '.'} Its first levels: "
            f"{', '.join(shallow)}"
        )
    return modules[stage]


def _check_grid(name: str, stage: str | None, grid: Grid, own: Grid) -> None:
    what = f"stage '{stage}' of {name}" if stage else name
    if own == (1, 1):
        raise UserError(
            f"the feature map of {what} has a single cell: it says nothing of where. Choose an earlier --stage, larger "
            "frames, or another backbone"
        )
    if not all(1 <= wanted <= there for wanted, there in zip(grid, own, strict=True)) or grid == (1, 1):
        raise UserError(
            f"a grid of {grid[0]}x{grid[1]} cells was asked for; the feature map of {what} has {own[0]}x{own[1]}: ask "
            "for more than one cell and no more than that, or choose an earlier --stage"
        )
