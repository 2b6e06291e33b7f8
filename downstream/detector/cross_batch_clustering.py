"""Cross-batch clustering guidance: a branch that tells normal from abnormal by two centres, and scores made of it.

    features --FC--> g --> q = softmax over both centres of -|g - centre|^2 / t --> guides the scores
                     |
                     +--> centres of this batch --> mean with those of the last M batches --> clustering loss

[paper] (cross-batch clustering guidance, arXiv 2212.08506, ICME 2023; known to us by its abstract): a clustering
branch; a batch-clustering loss that forms a normal and an abnormal cluster; cross-batch learning, which brings in
results of previous mini-batches against their imbalance; segment scores made more accurate by clustering guidance.
[ours] The form of every part, and every constant.

**Which centres are used where.** The detector's forward pass comes first, so its `q`, which guides the scores, uses the
centres of *previous* steps as stored in the branch; they carry no gradient. Then the loss makes the centres in use now
(memory and this batch, with gradient to this batch's share of the mean), computes its own `q` from those, and in
training mode stores them, detached, in the branch, for the next step. Tests use what was stored last. Until both
classes have been seen, `q` is one half.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from downstream.detector.bags import Bags, LossParts, abnormal_instances, mean_of_chosen, normal_instances
from downstream.detector.loss_config import CrossBatchClusteringConfig, Guidance

NORMAL, ABNORMAL = 0, 1


def guide(log_scores: Tensor, log_abnormal: Tensor, mode: Guidance) -> Tensor:
    """Logarithms of the guided scores: `s * q` (product), `(s + q) / 2` (mean), or `s` (none). Shapes stay."""
    if mode == "product":
        return log_scores + log_abnormal
    if mode == "mean":
        return torch.logaddexp(log_scores, log_abnormal) - math.log(2)
    return log_scores


def squared_distances(embeddings: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """(...) of embeddings (..., E): to the normal and to the abnormal one of the centres (2, E)."""
    return (embeddings - centres[NORMAL]).square().sum(dim=-1), (embeddings - centres[ABNORMAL]).square().sum(dim=-1)


def log_memberships(to_normal: Tensor, to_abnormal: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log q of the normal cluster and of the abnormal one, elementwise, from the squared distances to their centres."""
    nearer_abnormal = (to_normal - to_abnormal) / temperature
    return functional.logsigmoid(-nearer_abnormal), functional.logsigmoid(nearer_abnormal)


class ClusterBranch(nn.Module):
    """Part of the detector. Its centres are buffers: they travel with the weights, and the loss moves them."""

    centres: Tensor
    num_updates: Tensor

    def __init__(self, feature_dim: int, embedding_dim: int = 128, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.embed = nn.Linear(feature_dim, embedding_dim)
        self.register_buffer("centres", torch.zeros(2, embedding_dim))
        self.register_buffer("num_updates", torch.zeros(2, dtype=torch.int64))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> embeddings (B, T, E), and log q of the abnormal cluster (B, T), from the stored centres.

        In the precision of the weights, also under autocast: distances are differences of near values.
        """
        with torch.autocast(features.device.type, enabled=False):
            embeddings = self.embed(features.to(self.embed.weight.dtype))
            # Only differences are kept for the backward pass: the loss may write the centres before it.
            distances = squared_distances(embeddings, self.centres)
            _, log_abnormal = log_memberships(*distances, self.temperature)
            unknown = torch.full_like(log_abnormal, -math.log(2))
            return embeddings, torch.where((self.num_updates > 0).all(), log_abnormal, unknown)

    @torch.no_grad()
    def store(self, centres: Tensor, known: Tensor) -> None:
        """Take over the centres (2, E) of those classes that are `known` (bool (2,))."""
        self.centres.copy_(torch.where(known.unsqueeze(1), centres, self.centres))
        self.num_updates.add_(known)


class CrossBatchClustering(nn.Module):
    """The loss with its memory: the last M detached centres of each class, oldest out first, saved with the run.

    It writes into `branch` but does not own it: the branch's weights and centres appear in the detector's state only.
    """

    memory: Tensor
    num_pushed: Tensor

    def __init__(self, config: CrossBatchClusteringConfig, branch: ClusterBranch) -> None:
        super().__init__()
        self.config = config
        self._branch = (branch,)  # in a tuple, so that it is not registered a second time
        self.register_buffer("memory", torch.zeros(2, config.memory, branch.centres.shape[1]))
        self.register_buffer("num_pushed", torch.zeros(2, dtype=torch.int64))

    @property
    def branch(self) -> ClusterBranch:
        return self._branch[0]

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        """Scalar: NLL of normal snippets + NLL of the abnormal videos + `max(0, m - |mu_N - mu_A|)^2` + compactness.

        The NLL of an abnormal video is that of the mean `q` over its top-k snippets by score. What needs a class that
        neither the batch nor the memory has is 0. `bags.embeddings` must be there. Training mode moves the memory.
        """
        if bags.embeddings is None:
            raise ValueError("cross-batch clustering needs the embeddings of the detector's clustering branch")
        embeddings = bags.embeddings.masked_fill(~bags.mask.unsqueeze(2), 0.0)
        members = class_weights(bags)
        present = members.flatten(1).any(dim=1)
        batch_centres = torch.einsum("cbt,bte->ce", members, embeddings)
        centres, known = self.centres_in_use(batch_centres, present)
        parts = clustering_terms(bags, embeddings, centres, self.branch.temperature)
        parts["margin"] = separation(centres, self.config.margin)
        for name in ("normal", "abnormal", "margin"):  # compare both centres
            parts[name] = torch.where(known.all(), parts[name], 0.0)
        if self.training:
            self.push(batch_centres.detach(), present)
            self.branch.store(centres.detach(), known)
        loss = parts["normal"] + parts["abnormal"] + parts["margin"] + self.config.compactness * parts["compactness"]
        return loss + 0.0 * embeddings.sum(), {name: value.detach() for name, value in parts.items()}

    def centres_in_use(self, batch_centres: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """(2, E) mean of the memory's centres and, where the batch has the class, its own; bool (2,): is there any."""
        size = self.config.memory
        filled = torch.arange(size, device=self.memory.device) < self.num_pushed.unsqueeze(1)
        count = filled.sum(dim=1) + present
        past = (self.memory * filled.unsqueeze(2)).sum(dim=1)  # summed into a new tensor: pushing does not disturb it
        return (past + batch_centres) / count.clamp(min=1).unsqueeze(1), count > 0

    @torch.no_grad()
    def push(self, batch_centres: Tensor, present: Tensor) -> None:
        """Let the batch's centres take the place of each class's oldest; a class that the batch lacks keeps its own."""
        if self.config.memory:
            classes = torch.arange(2, device=self.memory.device)
            oldest = self.num_pushed % self.config.memory
            kept = self.memory[classes, oldest]
            self.memory[classes, oldest] = torch.where(present.unsqueeze(1), batch_centres, kept)
        self.num_pushed.add_(present)


def class_weights(bags: Bags) -> Tensor:
    """(2, B, T), without gradient: weights of the batch centres, of sum 1 for a class the batch has, else 0.

    Normal: equal over the snippets of normal videos. Abnormal: over the top-k of abnormal videos, as their scores.
    """
    chosen = abnormal_instances(bags)
    normal = normal_instances(bags).to(bags.log_scores.dtype)
    # A softmax of log scores is scores over their sum, and stays defined where all of them underflow.
    log_scores = bags.log_scores.detach().masked_fill(~chosen, torch.finfo(bags.log_scores.dtype).min)
    abnormal = log_scores.flatten().softmax(dim=0).view_as(log_scores) * chosen
    return torch.stack([normal / normal.sum().clamp(min=1), abnormal])


def clustering_terms(bags: Bags, embeddings: Tensor, centres: Tensor, temperature: float) -> LossParts:
    """Scalars `normal` and `abnormal` (NLL) and `compactness`; 0 where the batch lacks the class."""
    to_normal, to_abnormal = squared_distances(embeddings, centres)
    log_normal, log_abnormal = log_memberships(to_normal, to_abnormal, temperature)
    normal, chosen = normal_instances(bags), abnormal_instances(bags)
    counts = chosen.sum(dim=1).to(log_abnormal.dtype)
    lowest = torch.finfo(log_abnormal.dtype).min
    log_mean = log_abnormal.masked_fill(~chosen, lowest).logsumexp(dim=1) - counts.clamp(min=1).log()
    return {
        "normal": -mean_of_chosen(log_normal, normal),
        "abnormal": -mean_of_chosen(log_mean, bags.abnormal),
        "compactness": mean_of_chosen(to_normal, normal) + mean_of_chosen(to_abnormal, chosen),
    }


def separation(centres: Tensor, margin: float) -> Tensor:
    """Scalar `max(0, margin - |normal - abnormal|)^2`. Coinciding centres get no gradient: there is no direction."""
    return (margin - torch.linalg.vector_norm(centres[NORMAL] - centres[ABNORMAL])).clamp(min=0).square()
