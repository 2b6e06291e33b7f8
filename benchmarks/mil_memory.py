"""Peak memory of training on a large feature set, in a process of its own: `python -m benchmarks.mil_memory FOLDER`.

FOLDER/features is the set. The process imports what a training run imports, builds the segment cache, takes the
statistics of all training bags and trains 20 steps. Prints one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.mil_ways import source_of, status_bytes, train_step
from downstream.features.fusion import FusedFeatures
from downstream.training.config import BagsConfig, FeaturesConfig, FinetuneConfig
from downstream.training.feature_source import FeatureTraining
from downstream.training.loop import make_optimizer
from pretrain.accelerator import make_accelerator
from pretrain.cpu import keep_freed_memory

STEPS = 20


def peak_of_training(folder: Path) -> dict[str, Any]:
    """`peak_rss_gb` and what else is to be said of it, in a fresh process: a parent's peak would count too."""
    command = [sys.executable, "-m", "benchmarks.mil_memory", str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(folder: Path) -> dict[str, Any]:
    """Build, standardise, train; gigabytes (1e9 bytes) and seconds."""
    keep_freed_memory()
    imported = status_bytes("VmHWM")
    config = FinetuneConfig(
        output=folder / "run",
        features=FeaturesConfig(sets=(folder / "features",)),
        bags=BagsConfig(cache=folder / "segments"),
        plots=False,
    )
    features = FusedFeatures.open(config.features.sets, config.features.normalise)
    source = source_of(features, config, folder / "segments")
    accelerator = make_accelerator("auto", config.precision or "fp32")
    started = time.perf_counter()
    training = FeatureTraining(source, 0, accelerator)
    built = time.perf_counter()
    module = training.model.to(accelerator.device)
    optimizer = make_optimizer(training.lr_shares(), config.optim)
    loss = [train_step(module, optimizer, config, training.batch(step), step) for step in range(STEPS)][-1]
    peak = status_bytes("VmHWM")
    cache = training.bags.cache
    return {
        "peak_rss_gb": None if peak is None else round(peak / 1e9, 3),
        "imports_gb": None if imported is None else round(imported / 1e9, 3),
        "cache_gb": round(cache.array.nbytes / 1e9, 3) if cache is not None else 0.0,
        "cache_build_s": round(built - started, 1),
        "memory_steps": STEPS,
        "last_loss": round(loss, 4),
    }


if __name__ == "__main__":
    print(json.dumps(train(Path(sys.argv[1]))))
