"""Random Hugging Face video models of a few thousand weights, in folders as save_pretrained writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "videomae": ("VideoMAE", {"image_size": 32, "num_frames": 4, "intermediate_size": 32}),
    "vjepa2": (
        "VJEPA2",
        {"crop_size": 32, "frames_per_clip": 4, "pred_hidden_size": 24, "pred_num_attention_heads": 2}
        | {"pred_num_hidden_layers": 1},
    ),
    "timesformer": ("Timesformer", {"image_size": 32, "num_frames": 4, "intermediate_size": 32}),
}
PIXELS = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3], "do_normalize": True, "do_rescale": True}
"""Distinct numbers, so that none can stand for another."""


def write_model(kind: str, folder: Path, classifier: bool = False, **changes: Any) -> Any:
    """Write a model and its preprocessing; return transformers' own network."""
    import transformers

    name, values = TINY[kind]
    settings = getattr(transformers, f"{name}Config")(**SIZES | values | {"patch_size": 16} | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = getattr(transformers, f"{name}{'ForVideoClassification' if classifier else 'Model'}")(settings).eval()
    net.save_pretrained(folder)
    write_pixels(folder)
    return net


def write_pixels(folder: Path, **changes: Any) -> None:
    """preprocessor_config.json."""
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS | changes))
