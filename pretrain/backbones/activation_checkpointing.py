"""Activation checkpointing, block by block, for networks whose code is not ours."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(net: nn.Module) -> int:
    """Make every block of `net` recompute its activations in the backward pass; return how many blocks there are.

    A block is a module with parts, held in a plain `nn.Sequential` or `nn.ModuleList` however deep; a network without
    such lists is taken by its direct children. Only `forward` of the instance is replaced: module tree and state-dict
    keys stay as they are.
    """
    blocks = list(_blocks(net)) or [child for child in net.children() if any(True for _ in child.children())]
    for block in blocks:
        # An attribute of the instance goes before the method of the class in nn.Module.__call__.
        object.__setattr__(block, "forward", functools.partial(_recomputed, block, block.forward))
    return len(blocks)


def _blocks(module: nn.Module, inside: bool = False) -> Iterator[nn.Module]:
    for child in module.children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            yield from _blocks(child, inside=True)
        elif inside and any(True for _ in child.children()):
            yield child


def _recomputed(block: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if torch.compiler.is_compiling():  # the compiler places the recomputation itself and takes no context managers
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    contexts = functools.partial(_contexts, block)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)


def _contexts(
    block: nn.Module,
) -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
    return contextlib.nullcontext(), _running_statistics_kept(block)


@contextlib.contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    """In the second forward, batch norm must not update its running statistics a second time."""
    # It updates copies. Switching the tracking off instead would change what is saved for the backward pass.
    kept = [(m, dict(m._buffers)) for m in block.modules() if isinstance(m, _NormBase)]
    for norm, buffers in kept:
        norm._buffers.update({key: value.clone() for key, value in buffers.items() if value is not None})
    try:
        yield
    finally:
        for norm, buffers in kept:
            norm._buffers.update(buffers)
