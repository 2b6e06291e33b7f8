"""Directions of feature vectors: their cosines, and prototypes, which are means of unit vectors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Directions(NamedTuple):
    """Unit vectors of features, kept as the features and their lengths: copies (B, T, D) are what mining costs."""

    features: Tensor
    """(B, T, D)."""
    inverse_lengths: Tensor
    """(B, T): 1 / L2 length; 0 for a vector without direction."""

    @staticmethod
    def of(features: Tensor) -> Directions:
        """Of features (B, T, D)."""
        return Directions(features, inverse_lengths(features))

    def bag_prototypes(self, chosen: Tensor) -> Tensor:
        """(B, D): direction of the mean of each bag's chosen (bool (B, T)) unit vectors; zeros for a bag with none."""
        sums = torch.einsum("btd,bt->bd", self.features, chosen * self.inverse_lengths)
        return unit_vectors(sums / chosen.sum(dim=1, keepdim=True).clamp(min=1))

    def batch_prototype(self, chosen: Tensor) -> Tensor:
        """(D,): direction of the mean of all chosen unit vectors, every instance alike; zeros where none is chosen."""
        total = torch.einsum("btd,bt->d", self.features, chosen * self.inverse_lengths)
        return unit_vectors(total / chosen.sum().clamp(min=1))

    def cosine(self, prototype: Tensor) -> Tensor:
        """(B, T): with a unit vector of each bag (B, D) or of the batch (D,); 0 where either is zeros."""
        return (self.features @ prototype.unsqueeze(-1)).squeeze(-1) * self.inverse_lengths


def inverse_lengths(vectors: Tensor, smallest: float = 1e-6) -> Tensor:
    """1 / L2 length of vectors (..., D); 0, without gradient, where that is below `smallest`.

    Such a vector has no direction: its reciprocal would blow noise up.
    """
    lengths = torch.linalg.vector_norm(vectors, dim=-1)
    short = lengths < smallest
    return lengths.masked_fill(short, 1).reciprocal().masked_fill(short, 0)


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors (..., D) of length 1; those without direction become 0 and get no gradient."""
    return vectors * inverse_lengths(vectors).unsqueeze(-1)
