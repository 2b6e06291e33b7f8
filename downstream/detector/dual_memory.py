"""Two memories, of what is normal and of what is abnormal, that features are augmented by; and the loss of both.

    features x --+--> normal memory ----> mu, sigma --> mu + sigma * noise --+
                 |                                                          + --> beside x, before the scoring head
                 +--> abnormal memory --> mu --------------------------------+

A memory of K vectors is read by `a = sigmoid(x . vector / sqrt(D))`: what is read is the sum of `a * vector`, and a
snippet is *found* in it by the mean of its K // 16 + 1 greatest `a`.

[paper] Dual Memory Units with Uncertainty Regulation (UR-DMU; Zhou, Yu, Yang, AAAI 2023; weights of the parts and
margins as in the authors' public code): both memories of 60 vectors, how they are read, the four cross-entropies, the
Gaussian latent of the normal memory with its divergence, the triplets and the distance of magnitudes.
[ours] The noise falls on what every bag reads of the normal memory, not on normal bags' alone: a forward pass does not
know labels. A detector without dropout has no noise either. Every normal/abnormal pair of the batch, where the
published losses pair bags one to one. The divergence is a sum over numbers and a mean over snippets; the distance is
taken without the noise. Logarithms throughout, exact where a snippet is surely found or surely not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from downstream.detector.bags import Bags, LossParts, bag_means, mean_of_chosen, normal_instances, num_top, top_mask
from downstream.detector.directions import unit_vectors
from downstream.detector.loss_config import DUAL_MEMORY_PARTS, DualMemoryConfig
from downstream.detector.mil_ranking import mean_over_pairs

MEMORIES = 60
"""Vectors of each memory, as published."""


class Found(NamedTuple):
    """How surely snippets are found in a memory."""

    log_found: Tensor
    """(B, T): log of the mean of the greatest attentions."""
    log_missing: Tensor
    """(B, T): log of what that mean lacks to 1."""


class Memory(nn.Module):
    """K vectors."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(count, width).uniform_(-1, 1) / math.sqrt(width))

    def likeness(self, features: Tensor) -> Tensor:
        """(..., K) of features (..., D): log odds of the attention to each vector."""
        return features @ self.vectors.T / math.sqrt(features.shape[-1])

    def read(self, likeness: Tensor) -> Tensor:
        """(..., D): the sum of the vectors times their attention."""
        return likeness.sigmoid() @ self.vectors

    def found(self, likeness: Tensor) -> Found:
        """By the K // 16 + 1 vectors that are most like a snippet; (..., K) -> (...)."""
        top = likeness.topk(likeness.shape[-1] // 16 + 1, dim=-1).values
        log_count = math.log(top.shape[-1])
        return Found(
            functional.logsigmoid(top).logsumexp(dim=-1) - log_count,
            functional.logsigmoid(-top).logsumexp(dim=-1) - log_count,
        )


class DualMemory(nn.Module):
    """Part of the detector: both memories and the latent of what is read of them."""

    def __init__(self, count: int, width: int, noise: bool) -> None:
        """`noise`: draw from the latent of the normal memory in training; otherwise its mean is taken."""
        super().__init__()
        self.noise = noise
        self.normal, self.abnormal = Memory(count, width), Memory(count, width)
        self.mean, self.log_variance = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, T, D) -> (B, T, 2 D): they, and what both memories say to them."""
        normal = self.normal.read(self.normal.likeness(features))
        abnormal = self.abnormal.read(self.abnormal.likeness(features))
        latent = self.mean(normal)
        if self.training and self.noise:
            latent = latent + (0.5 * self.log_variance(normal)).exp() * torch.randn_like(latent)
        return torch.cat([features, latent + self.mean(abnormal)], dim=-1)

    def divergence(self, read: Tensor) -> Tensor:
        """(...): of the latent of what was read (..., D) of the normal memory from the standard Gaussian (KL)."""
        mean, log_variance = self.mean(read), self.log_variance(read)
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)

    def length(self, read: Tensor, chosen: Tensor) -> Tensor:
        """(B,): of the mean latent of the chosen (bool (B, T)) snippets, of what they read (B, T, D) of a memory."""
        mean: Tensor = self.mean(bag_means(read, chosen.unsqueeze(2)))
        return torch.linalg.vector_norm(mean, dim=1)


class DualMemoryLoss(nn.Module):
    """The loss of the memories of a detector. It does not own them: they appear in the detector's state only."""

    def __init__(self, config: DualMemoryConfig, memories: DualMemory) -> None:
        super().__init__()
        self.config = config
        self._memories = (memories,)  # in a tuple, so that it is not registered a second time

    @property
    def memories(self) -> DualMemory:
        return self._memories[0]

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        """Scalar: the weighted sum of its parts, each 0 where the batch lacks a class that it is about. Parts: they.

        In the precision of the memories.
        """
        memories, count = self.memories, num_top(bags.mask, None)
        features = bags.features.masked_fill(~bags.mask.unsqueeze(2), 0.0).to(memories.normal.vectors.dtype)
        normal, abnormal = memories.normal.likeness(features), memories.abnormal.likeness(features)
        in_normal, in_abnormal = memories.normal.found(normal), memories.abnormal.found(abnormal)
        most_normal = top_mask(in_normal.log_found, bags.mask, count)
        most_abnormal = top_mask(in_abnormal.log_found, bags.mask, count)
        of_normal, of_abnormal = memories.normal.read(normal), memories.abnormal.read(abnormal)
        ordinary, odd = memories.length(of_normal, most_normal), memories.length(of_abnormal, most_abnormal)
        parts = {
            "memory": memory_loss(bags, in_normal, in_abnormal),
            "triplet": triplets(bags, features, most_normal, most_abnormal, self.config.triplet_margin),
            "divergence": mean_of_chosen(memories.divergence(of_normal), normal_instances(bags)),
            "magnitude": magnitudes(odd, ordinary, bags.abnormal, self.config.magnitude_margin),
        }
        loss = torch.stack([getattr(self.config, f"{name}_weight") * parts[name] for name in DUAL_MEMORY_PARTS]).sum()
        return loss, {name: value.detach() for name, value in parts.items()}


def memory_loss(bags: Bags, in_normal: Found, in_abnormal: Found) -> Tensor:
    """Four cross-entropies: a normal bag's snippets are all found in the normal memory and none in the abnormal one;
    the count // 16 + 1 snippets of an abnormal bag that are best found in the abnormal memory are, as are those least
    found in the normal one not."""
    normal = normal_instances(bags)
    own = mean_of_chosen(-in_normal.log_found, normal)
    foreign = mean_of_chosen(-in_abnormal.log_missing, normal)
    abnormal = mean_of_chosen(-log_mean_of_top(in_abnormal.log_found, bags.mask), bags.abnormal)
    missing = mean_of_chosen(-log_mean_of_top(in_normal.log_missing, bags.mask), bags.abnormal)
    return own + foreign + abnormal + missing


def log_mean_of_top(log_values: Tensor, mask: Tensor) -> Tensor:
    """(B,): log of the mean of the count // 16 + 1 greatest of each bag's values, given and taken as logarithms."""
    count = num_top(mask, None)
    chosen = top_mask(log_values, mask, count)
    lowest = torch.finfo(log_values.dtype).min
    return log_values.masked_fill(~chosen, lowest).logsumexp(dim=1) - count.clamp(min=1).to(log_values.dtype).log()


def triplets(bags: Bags, features: Tensor, most_normal: Tensor, most_abnormal: Tensor, margin: float) -> Tensor:
    """Mean over pairs of a normal bag n and an abnormal one a of `max(0, margin + |n - p| - |n - q|)`.

    n: direction of the mean of the normal bag's most normal snippets, p of the abnormal bag's most normal ones, q of
    its most abnormal ones; how normal and how abnormal they are say the memories. Both bool (B, T).
    """
    ordinary = unit_vectors(bag_means(features, most_normal.unsqueeze(2)))
    odd = unit_vectors(bag_means(features, most_abnormal.unsqueeze(2)))
    to_positive = torch.linalg.vector_norm(ordinary.unsqueeze(0) - ordinary.unsqueeze(1), dim=2)
    to_negative = torch.linalg.vector_norm(ordinary.unsqueeze(0) - odd.unsqueeze(1), dim=2)
    return mean_over_pairs((margin + to_positive - to_negative).clamp(min=0), bags.abnormal)


def magnitudes(odd: Tensor, ordinary: Tensor, abnormal: Tensor, margin: float) -> Tensor:
    """Mean over pairs of an abnormal and a normal bag of `max(0, margin - odd of the one + ordinary of the other)`."""
    return mean_over_pairs((margin - odd.unsqueeze(1) + ordinary.unsqueeze(0)).clamp(min=0), abnormal)
