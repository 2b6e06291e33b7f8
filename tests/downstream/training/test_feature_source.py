"""What a user can do wrong is said once, in one sentence with a mend, before a step is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.detector.model import DetectorConfig
from downstream.evaluation.choose_videos import missing_ground_truth
from downstream.features.store import FeatureSet
from downstream.training.config import DetectorOptimConfig, FinetuneConfig
from downstream.training.feature_source import FeatureSource
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError
from tests.pretrain.conftest import changed


@pytest.fixture
def damaged(simulated: Path, tmp_path: Path, small_run: FinetuneConfig) -> Callable[..., FinetuneConfig]:
    """A run on a copy of the simulated set whose array, manifest or lists were changed by hand."""

    def make(
        array: Callable[[Any, Any], None] | None = None,
        manifest: Callable[[Any], None] | None = None,
        lists: Callable[[Any], None] | None = None,
    ) -> FinetuneConfig:
        copy = tmp_path / "copy"
        shutil.copytree(simulated, copy)
        if array is not None:
            (file,) = (copy / "features").glob("features-*.npy")
            values = np.load(file)
            array(values, FeatureSet.open(copy / "features").videos)
            np.save(file, values)
        for change, path in ((manifest, "features/manifest.json"), (lists, "annotations/ground_truth.json")):
            if change is not None:
                content = json.loads((copy / path).read_text())
                change(content["videos"])
                (copy / path).write_text(json.dumps(content))
        return changed(small_run, catalogue__root=copy, features__sets=(copy / "features",))

    return make


def test_values_that_are_not_finite_in_test_videos_are_found_before_training(damaged: Any) -> None:
    def change(values: Any, videos: Any) -> None:
        values[videos["v030"].offset + 2] = np.inf

    config = damaged(array=change)
    with pytest.raises(UserError, match=r"copy/features: 1 video.*\n  - 'v030': 1 of \d+ snippets, the first is 2"):
        FeatureSource.open(config)
    FeatureSource.open(changed(config, score_test=False))  # nobody will look at them


def test_sampled_training_videos_are_looked_at_too(damaged: Any) -> None:
    def change(values: Any, videos: Any) -> None:
        values[videos["v001"].offset] = np.nan

    config = damaged(array=change)
    with pytest.raises(UserError, match="'v001': 1 of"):
        FeatureSource.open(changed(config, bags__sampling="sample"))


def test_ground_truth_of_another_length_is_found_before_training(damaged: Any) -> None:
    def change(videos: Any) -> None:
        videos["v025"]["num_frames"] += 40

    config = damaged(lists=change)
    with pytest.raises(UserError, match=r"'v025': \d+ frames annotated, \d+ covered by features: \d+ frames off"):
        FeatureSource.open(config)
    FeatureSource.open(changed(config, score_test=False))


@pytest.mark.parametrize(("field", "value"), [("snippets", "3"), ("snippet_frames", 0), ("offset", -1)])
def test_a_manifest_of_nonsense_is_no_feature_set(damaged: Any, field: str, value: Any) -> None:
    config = damaged(manifest=lambda videos: videos[1].update({field: value}))
    with pytest.raises(UserError, match=f"no whole feature set.*'v001': {field} is {value!r}"):
        FeatureSource.open(config)


def test_a_set_is_not_fused_with_itself(small_run: FinetuneConfig) -> None:
    folder = small_run.features.sets[0]
    with pytest.raises(UserError, match="twice: fusing a set with itself adds nothing; give it once"):
        FeatureSource.open(changed(small_run, features__sets=(folder, folder / ".." / folder.name)))


def test_each_class_needs_two_training_videos(damaged: Any) -> None:
    def change(videos: Any) -> None:
        for name in [name for name, entry in videos.items() if entry["split"] == "train" and name > "v002"]:
            del videos[name]

    with pytest.raises(UserError, match="one of the 3 training videos is abnormal; each class needs at least two"):
        FeatureSource.open(damaged(lists=change))


def test_why_scores_cannot_be_evaluated() -> None:
    normal = Video("n", "", 0, "test")
    found = {
        "none of the 1 is abnormal": [normal],
        "1 of 2 have no label, the first is 'u'": [normal, Video("u", "", None, "test")],
        "which frames are abnormal in 1 of 1 abnormal videos, the first is 'a'": [normal, Video("a", "", 1, "test")],
    }
    for text, videos in found.items():
        assert missing_ground_truth(Catalogue(videos, "list")).endswith(text)


@pytest.mark.parametrize("name", ["lr", "clip_norm", "weight_decay", "final_lr_share", "warmup_steps"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_optimisation_takes_finite_numbers_alone(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"optim.{name} is {value}; it must be a finite number"):
        DetectorOptimConfig(**{name: value})


def test_settings_that_no_run_can_be_saved_with(small_run: FinetuneConfig) -> None:
    with pytest.raises(UserError, match=r"bags.normal_per_abnormal is inf; it must be finite"):
        changed(small_run, bags__normal_per_abnormal=float("inf"))
    with pytest.raises(UserError, match=r"threshold is nan; it must be a finite number"):
        changed(small_run, evaluation__threshold=float("nan"))
    with pytest.raises(UserError, match=r"seeds are \[9223372036854775808\]"):
        changed(small_run, seeds=(2**63,))
    with pytest.raises(UserError, match=r"split_seed is -1"):
        changed(small_run, split_seed=-1)
    with pytest.raises(UserError, match=r"detector.width is 2; multi_scale shares it among 3"):
        DetectorConfig(width=2, temporal="multi_scale")
