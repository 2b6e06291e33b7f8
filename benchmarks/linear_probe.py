"""A linear probe of features: a logistic regression on the training split, its AUC on the test split.

On snippets where training frames are annotated (it sees frame labels), otherwise on the means of whole videos.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from downstream.evaluation.curves import roc_auc
from downstream.evaluation.ground_truth import align
from downstream.features.store import FeatureSet
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Catalogue, Video


def frames_are_annotated(train: Iterable[Video]) -> bool:
    """Whether all abnormal videos say which of their frames are anomalous."""
    return all(video.spans for video in train if video.label)


def linear_probe(features: FeatureSet, catalogue: Catalogue, test: Catalogue | None = None) -> float:
    """AUC on the test split, or on these of its videos, of a logistic regression on the training split."""
    train, test = catalogue.subset("train"), catalogue.subset("test") if test is None else test
    if frames_are_annotated(train):
        parts = [snippets_of(features, part) for part in (train, test)]
    else:
        parts = [videos_of(features, part) for part in (train, test)]
    (inputs, positive, negative), (test_inputs, test_positive, test_negative) = parts
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    weight = logistic_regression((inputs - mean) / deviation, positive, negative)
    return float(roc_auc(((test_inputs - mean) / deviation) @ weight, test_positive, test_negative))


Sample = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def snippets_of(features: FeatureSet, videos: Catalogue) -> Sample:
    """Every snippet's features, anomalous frames and normal frames."""
    placeholder = []
    for video in videos:
        edges = features.videos[video.name].edges()
        assert edges is not None
        placeholder.append(VideoScores(video.name, np.zeros(len(edges) - 1), edges))
    labelled = align(placeholder, videos).videos
    values = [features.read(video.name).mean(axis=1, dtype=np.float64) for video in labelled]
    positive = np.concatenate([video.positive for video in labelled])
    return np.concatenate(values), positive, np.concatenate([video.negative for video in labelled])


def videos_of(features: FeatureSet, videos: Catalogue) -> Sample:
    """Every video's mean features and its label."""
    values = np.stack([features.read(video.name).mean(axis=(0, 1), dtype=np.float64) for video in videos])
    labels = np.array([video.label for video in videos], np.int64)
    return values, labels, 1 - labels


def logistic_regression(
    inputs: NDArray[np.float64], positive: NDArray[np.int64], negative: NDArray[np.int64], penalty: float = 1e-2
) -> NDArray[np.float64]:
    """Weights (D,) of a regression with both classes weighing alike and an L2 penalty, by L-BFGS."""
    x = torch.from_numpy(inputs)
    y = torch.from_numpy(positive / (positive + negative))
    balance = torch.where(y > 0.5, 0.5 / y.mean(), 0.5 / (1 - y).mean())
    weight = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        misfit = functional.binary_cross_entropy_with_logits(x @ weight + bias, y, balance)
        loss = misfit + penalty * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found: NDArray[np.float64] = weight.detach().numpy()
    return found
