"""Names that other programs put before a network's own: `module.` of DDP, `_orig_mod.` of torch.compile, and wrappers.

state_dict -> module.backbone.layer1.0.conv1.weight     the file
                              layer1.0.conv1.weight     the network
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pretrain.errors import UserError

WORDS = ("module", "_orig_mod", "model", "backbone", "encoder")
"""What stands before a network's own names, in any nesting."""
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys of a checkpoint under which its weights lie, in any nesting."""
MOST_WRAPPERS = 8
FEWEST = 0.5
"""Share of the network's tensors that a prefix must bring before it is believed to be one."""


def unwrapped(content: Any, source: str) -> Any:
    """The mapping of names to tensors in a checkpoint; UserError where several of its keys could be that."""
    for _ in range(MOST_WRAPPERS):
        if not isinstance(content, Mapping):
            return content
        found = [word for word in WRAPPERS if isinstance(content.get(word), Mapping)]
        if len(found) > 1:
            raise UserError(
                f"{source} holds weights under {' and under '.join(repr(word) for word in found)}, and nobody says "
                f"which are meant; save one of them alone: torch.save(checkpoint[{found[0]!r}], FILE)"
            )
        if not found:
            return content
        content = content[found[0]]
    return content


def remove_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> tuple[dict[str, Tensor], str]:
    """Weights under the network's own names, and the prefix that was taken off them (mostly none).

    `own`: the network's state. What lies beside the prefix (a head, a second network) is left out. Where no prefix
    brings at least half of the network, the names are left as they are, for whoever compares them. UserError where two
    bring equally much and differ.
    """
    prefixes = {prefix for key in state for prefix in _prefixes(key)}
    fitting = {prefix: _found(state, own, prefix) for prefix in prefixes}
    most = max(fitting.values(), default=0)
    best = sorted(
        (prefix for prefix, count in fitting.items() if count == most), key=lambda prefix: (len(prefix), prefix)
    )
    if not best or most < FEWEST * len(own) or (best[0] == "" and len(best) == 1):
        return dict(state), ""
    parts = [_under(state, prefix) for prefix in best]
    if any(not _equal(parts[0], other, own) for other in parts[1:]):
        named = " and ".join(f"'{prefix}'" if prefix else "no prefix" for prefix in best)
        raise UserError(
            f"{source} holds {len(best)} networks of that kind with different weights, under {named}, and nobody says "
            "which is meant; write a file with one of them alone"
        )
    return (parts[0], best[0]) if best[0] else (dict(state), "")


def _prefixes(key: str) -> list[str]:
    """Of one name: the empty one, and every chain of `WORDS` that it begins with."""
    found, parts = [""], key.split(".")
    for number, part in enumerate(parts[:-1]):
        if part not in WORDS:
            break
        found.append(".".join(parts[: number + 1]) + ".")
    return found


def _found(state: Mapping[str, Tensor], own: Mapping[str, Tensor], prefix: str) -> int:
    """How many of the network's tensors the file has under that prefix; another shape counts: it has the name."""
    return sum(prefix + key in state for key in own)


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    pairs = ((one.get(key), other.get(key)) for key in own)
    return all(
        (a is None and b is None) or (a is not None and b is not None and a.shape == b.shape and torch.equal(a, b))
        for a, b in pairs
    )
