"""Snippets are aligned with an embedding of each class of videos: VadCLIP's second branch, without its text.

    class embedding --> + what the video's high scores look like --> + perceptron
                    --> cosine with each snippet / 0.07 --> mean of the top k of each class --> softmax

[paper] VadCLIP (Wu et al., AAAI 2024): embeddings are those of CLIP's text encoder for learnt prompts of class names;
the visual prompt is the direction of the sum of snippets, each times its anomaly confidence (the log odds of the coarse
branch); a class's logit of a video is the mean of its `count // 16 + 1` greatest cosines over the temperature; softmax
cross-entropy with the video's classes; the embedding of the normal class is drawn away from the others (0.1, as in the
authors' public code for UCF-Crime).
[ours] There is no text: embeddings are learnt, one of the normal class and one of each class that the catalogue names
among the abnormal training videos; where it names none, one of all abnormal ones. Features need not be CLIP's. The term
trains the encoder; scores come from the coarse branch alone, as the published figures of UCF-Crime do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from downstream.detector.bags import Bags, LossParts, num_top
from downstream.detector.directions import unit_vectors
from downstream.detector.loss_config import ClassAlignmentConfig
from downstream.detector.window_graph import perceptron


class ClassAlignment(nn.Module):
    """The term, with the class embeddings. They are of training alone: the detector's file does not hold them."""

    def __init__(self, config: ClassAlignmentConfig, width: int, classes: int) -> None:
        """`classes`: the normal one and the others."""
        super().__init__()
        self.config = config
        self.embeddings = nn.Parameter(torch.randn(classes, width) / math.sqrt(width))
        self.perceptron = perceptron(width)

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        """Scalar: cross-entropy of the classes, and the separation; in the precision of the embeddings."""
        classes = bags.classes
        if classes is None:
            classes = torch.stack([1 - bags.labels, bags.labels], dim=1)
        targets = (classes / classes.sum(dim=1, keepdim=True)).to(self.embeddings.dtype)
        logits = top_means(self.logits(bags), bags.mask)
        entropy = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
        directions = unit_vectors(self.embeddings)
        separation = (directions[1:] @ directions[0]).abs().mean()
        parts = {"classes": entropy.detach(), "separation": separation.detach()}
        return entropy + self.config.separation * separation, parts

    def logits(self, bags: Bags) -> Tensor:
        """(B, T, C): cosine of each snippet with each class, as its video prompts it, over the temperature."""
        features = bags.features.masked_fill(~bags.mask.unsqueeze(2), 0.0).to(self.embeddings.dtype)
        prompts = self.embeddings + visual_prompt(features, bags.log_scores.to(features.dtype)).unsqueeze(1)
        prompts = prompts + self.perceptron(prompts)
        return unit_vectors(features) @ unit_vectors(prompts).transpose(1, 2) / self.config.temperature


def visual_prompt(features: Tensor, log_scores: Tensor) -> Tensor:
    """(B, D): direction of the sum of features (B, T, D), 0 on padding, each times its log odds."""
    sure = log_scores.clamp(max=-1e-12)  # a score of exactly 1 has no finite log odds
    odds = sure - torch.log(-torch.expm1(sure))
    return unit_vectors(torch.einsum("btd,bt->bd", features, odds))


def top_means(logits: Tensor, mask: Tensor) -> Tensor:
    """(B, C): of each class the mean of the `count // 16 + 1` greatest of a bag's (B, T, C)."""
    count = num_top(mask, None)
    lowest = torch.finfo(logits.dtype).min
    ordered = logits.masked_fill(~mask.unsqueeze(2), lowest).sort(dim=1, descending=True).values
    kept = (torch.arange(logits.shape[1], device=mask.device) < count.unsqueeze(1)).unsqueeze(2)
    return ordered.masked_fill(~kept, 0.0).sum(dim=1) / count.clamp(min=1).unsqueeze(1)
