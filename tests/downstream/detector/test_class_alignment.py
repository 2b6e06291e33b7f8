"""VadCLIP's second branch with learnt embeddings, against numpy; what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from downstream.detector.class_alignment import ClassAlignment
from downstream.detector.loss_config import ClassAlignmentConfig
from pretrain.errors import UserError
from tests.downstream.detector.loss_checks import DIM, random_bags

CONFIG = ClassAlignmentConfig(weight=1.0)


def a_term(classes: int) -> ClassAlignment:
    torch.manual_seed(0)
    return ClassAlignment(CONFIG, DIM, classes).double()


def test_equals_numpy() -> None:
    term, bags = a_term(4), random_bags(3)
    classes = torch.tensor(
        [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0.0]], dtype=torch.float64
    )
    loss, parts = term(bags._replace(classes=classes))
    names = term.state_dict()
    embeddings = names["embeddings"].numpy()
    (w1, b1), (w2, b2) = (
        (names[f"perceptron.{n}.weight"].numpy(), names[f"perceptron.{n}.bias"].numpy()) for n in (0, 2)
    )
    entropies = []
    for row in range(5):
        count = int(bags.mask[row].sum())
        x, logs = bags.features[row, :count].numpy(), bags.log_scores[row, :count].numpy()
        prompt = ((logs - np.log1p(-np.exp(logs)))[:, None] * x).sum(axis=0)
        said = embeddings + prompt / np.linalg.norm(prompt)
        inside = said @ w1.T + b1
        said = said + (inside / (1 + np.exp(-1.702 * inside))) @ w2.T + b2
        cosines = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (
            said / np.linalg.norm(said, axis=1, keepdims=True)
        ).T
        top = np.sort(cosines / 0.07, axis=0)[::-1][: count // 16 + 1].mean(axis=0)
        logged = top - np.log(np.exp(top).sum())
        entropies.append(-(classes[row].numpy() / float(classes[row].sum()) * logged).sum())
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    separation = np.abs(units[1:] @ units[0]).mean()
    assert parts["classes"].item() == pytest.approx(np.mean(entropies), rel=1e-9)
    assert parts["separation"].item() == pytest.approx(separation, rel=1e-9)
    assert loss.item() == pytest.approx(np.mean(entropies) + 0.1 * separation, rel=1e-9)


def test_without_names_there_are_two_classes() -> None:
    term, bags = a_term(2), random_bags(1)
    classes = torch.stack([1 - bags.labels, bags.labels], dim=1)
    assert torch.equal(term(bags)[0], term(bags._replace(classes=classes))[0])


def test_it_learns_to_tell_classes_apart() -> None:
    """Bags whose snippets lie in the direction of their class: the embeddings find them."""
    term = a_term(3)
    bags = random_bags(0, (0, 1, 1, 0, 1, 1), (6,) * 6)
    numbers = torch.tensor([0, 1, 2, 0, 1, 2])
    classes = torch.nn.functional.one_hot(numbers, 3).double()
    features = 0.3 * bags.features + 3 * torch.nn.functional.one_hot(numbers, DIM).double().unsqueeze(1)
    bags = bags._replace(features=features, classes=classes)
    optimizer = torch.optim.Adam(term.parameters(), lr=0.02)
    before = term(bags)[1]["classes"].item()
    for _ in range(40):
        optimizer.zero_grad()
        term(bags)[0].backward()
        optimizer.step()
    assert term(bags)[1]["classes"].item() < 0.2 * before
    assert term.logits(bags).amax(dim=1).argmax(dim=1).tolist() == numbers.tolist()


def test_bad_settings_are_named() -> None:
    with pytest.raises(UserError, match=r"class_alignment\.temperature is 0; it must be a finite number above 0"):
        ClassAlignmentConfig(temperature=0)
    with pytest.raises(UserError, match=r"class_alignment\.separation is -1; it must be a finite number of 0 or more"):
        ClassAlignmentConfig(separation=-1)
