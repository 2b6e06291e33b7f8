"""What every loss of the detector sees: a batch of bags, scored; and choosing instances from them.

A bag is a video's snippets; in spatiotemporal detection the cells of all its snippets, snippet by snippet, row by row.
Losses know instances and a mask, nothing of time or space, unless they say so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Bags(NamedTuple):
    """B scored bags of T instances. All float32, whatever precision the forward pass had."""

    labels: Tensor
    """(B,): 1 = contains an anomaly somewhere, 0 = normal."""
    mask: Tensor
    """bool (B, T): true where there is an instance, false where there is padding. Every bag has at least one."""
    log_scores: Tensor
    """(B, T): log of the anomaly score; finite everywhere, of no meaning on padding."""
    features: Tensor
    """(B, T, D): what the scoring head saw, but for what memories added to it."""
    embeddings: Tensor | None = None
    """(B, T, E): of the clustering branch, where the detector has one."""
    teacher_scores: Tensor | None = None
    """(B, T) in [0, 1], without gradient: of the exponential moving average of the detector, where there is one."""
    instance_labels: Tensor | None = None
    """(B, T) in [0, 1]: the share of an instance's frames that is anomalous, as a ceiling's spans or a teacher say. No
    weakly supervised loss may look at it."""
    before_norms: Tensor | None = None
    """(B, T, H): what the batch norms of the head were given, where it has any."""
    classes: Tensor | None = None
    """(B, C): 1 for each class of the video, the first of which is the normal one; None where only labels are known."""
    grid: tuple[int, int] = (1, 1)
    """Rows and columns of cells in a snippet; 1, 1 where instances are whole snippets. T is a multiple of the cells."""

    @property
    def cells(self) -> int:
        """Instances of a snippet."""
        return self.grid[0] * self.grid[1]

    @property
    def scores(self) -> Tensor:
        """(B, T) in [0, 1], 0 on padding."""
        return self.log_scores.masked_fill(~self.mask, -torch.inf).exp()

    @property
    def abnormal(self) -> Tensor:
        """bool (B,)."""
        return self.labels > 0.5


LossParts = dict[str, Tensor]
"""Named, detached parts of a loss, for the log."""


def score_maps(bags: Bags) -> Tensor:
    """(B, snippets, rows, columns): the scores in their places, 0 on padding."""
    return bags.scores.unflatten(1, (-1, *bags.grid))


def num_top(mask: Tensor, k: int | None, divisor: int = 16) -> Tensor:
    """int64 (B,): instances to take of each bag: `k`, or `count // divisor + 1`; never more than the bag has."""
    count = mask.sum(dim=1)
    wanted = count // divisor + 1 if k is None else torch.full_like(count, k)
    return torch.minimum(wanted, count)


def top_mask(values: Tensor, mask: Tensor, k: Tensor) -> Tensor:
    """bool (B, T): the `k[b]` greatest of each bag's instances. Ties go to the earlier instance; no gradient."""
    order = values.detach().masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return (rank < k.unsqueeze(1)) & mask


def bag_means(values: Tensor, chosen: Tensor) -> Tensor:
    """(B,): mean of `values` (B, T) over the chosen instances of each bag; 0 for a bag with none. Of vectors (B, T, D),
    with `chosen` (B, T, 1), it is (B, D)."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def mean_over_abnormal(per_bag: Tensor, bags: Bags) -> Tensor:
    """Scalar mean of `per_bag` (B,) over the abnormal bags; 0 without one."""
    return (per_bag * bags.abnormal).sum() / bags.abnormal.sum().clamp(min=1)


def mean_of_chosen(values: Tensor, chosen: Tensor) -> Tensor:
    """Scalar mean of the chosen values; 0 where none is. What was not chosen may be anything, infinities too."""
    return values.masked_fill(~chosen, 0.0).sum() / chosen.sum().clamp(min=1)


def normal_instances(bags: Bags) -> Tensor:
    """bool (B, T): every snippet of the normal videos."""
    return bags.mask & ~bags.abnormal.unsqueeze(1)


def abnormal_instances(bags: Bags) -> Tensor:
    """bool (B, T): the top-k of each abnormal video by score, `k = count // 16 + 1`."""
    return top_mask(bags.log_scores, bags.mask, num_top(bags.mask, None)) & bags.abnormal.unsqueeze(1)


def cross_entropy(log_scores: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, elementwise, of scores given as logarithms: exact however near the scores are to 0 or 1."""
    log_scores = log_scores.clamp(max=-1e-30)  # a score of exactly 1 has no finite cross-entropy to 0
    return -(targets * log_scores + (1 - targets) * torch.log(-torch.expm1(log_scores)))
