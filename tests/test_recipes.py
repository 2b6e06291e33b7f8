"""The recipes of docs/recipes.md: command lines parse, configurations go from lists to tables, in small."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import pytest

from downstream.ablation import config as ablation_config
from downstream.evaluation.choose_videos import open_listed
from downstream.features.feature_spec import FeatureSpec
from downstream.features.flat_truth import read_flat_truth
from downstream.features.set_writer import FeatureWriter
from downstream.training.config import FinetuneConfig
from pretrain.cli import parse
from pretrain.command import main as pretrain
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.proxy import build_command
from scripts import evaluate, extract_features, finetune, import_ground_truth, localise
from tests.paths import REAL, ROOT
from tests.test_flags import commands, configuration

DATASETS = ("ucf_crime", "xd_violence", "shanghaitech")
COUNTS = {"ucf_crime": (1610, 810, 290, 140), "xd_violence": (3954, 1905, 800, 500), "shanghaitech": (238, 63, 199, 44)}
"""Training videos, abnormal ones, test videos, abnormal ones."""
PICTURE = FeatureSpec(encoder="r3d_18", weights_sha256=None, dim=8)
CELLS = FeatureSpec(encoder="r3d_18", weights_sha256=None, dim=8, grid=(2, 2))
SNIPPETS = 12
READ_BY_THEMSELVES: dict[str, Callable[..., object]] = {
    "ablate": ablation_config.read_config,
    "build_cache": build_command.read_config,
}
"""Commands that make more of a YAML file than flags."""
SMALL = [
    "--device",
    "cpu",
    "--optim.steps",
    "10",
    "--optim.batch-size",
    "4",
    "--detector.width",
    "16",
    "--seeds",
    "0",
    "1",
]
SMALL += ["--detector.hidden", "8", "--no-plots", "--evaluation.resamples", "20", "--validation-fraction", "0.25"]


def recipe_lines() -> list[list[str]]:
    """Every command of the recipes, as words."""
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commanded = [line for line in joined if "python " in line or "pretrain.py" in line]
    return [shlex.split(line, comments=True) for line in commanded]


def test_every_command_of_the_recipes_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known, parsed = commands(), set()
    for words in recipe_lines():
        script = next((number for number, word in enumerate(words) if word.endswith(".py")), None)
        if script is None:
            continue
        name = Path(words[script]).stem
        given = words[script + 1 :]
        if name in READ_BY_THEMSELVES:
            READ_BY_THEMSELVES[name](given, f"{name}.py")
        else:
            parse(configuration(known[name]), given, f"{name}.py")
        parsed |= {name, *(Path(word).name for word in words if word.startswith("configs/"))}
    assert {"pretrain", "extract_features", "finetune", "evaluate", "localise", "import_ground_truth"} <= parsed
    written = {path.name for path in (ROOT / "configs").glob("*.yaml") if path.name.startswith(DATASETS)}
    assert written <= parsed, "a configuration that no recipe uses"


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_real_lists_are_what_the_recipe_says(dataset: str) -> None:
    lists = REAL / "annotations" / dataset
    if not lists.is_dir():
        pytest.skip("the real list files are not there (../shared/real/annotations beside the checkout)")
    config = parse(
        FinetuneConfig,
        [str(ROOT / "configs" / f"{dataset}_detector.yaml"), "--catalogue.annotations", str(lists)],
        "finetune.py",
    )
    catalogue = open_listed(config.catalogue)
    parts = [catalogue.subset(split) for split in ("train", "test")]
    found = tuple(n for part in parts for n in (len(part), sum(video.label == 1 for video in part)))
    assert found == COUNTS[dataset]


def lay_out_ucf_crime(root: Path) -> list[str]:
    train = [f"Abuse/Abuse{n:03d}_x264" for n in range(1, 9)]
    train += [f"Training_Normal_Videos_Anomaly/Normal_Videos{n:03d}_x264" for n in range(1, 9)]
    abnormal, normal = ["Arson016_x264", "Robbery048_x264"], ["Normal_Videos_003_x264", "Normal_Videos_006_x264"]
    (root / "Anomaly_Train.txt").write_text("".join(f"{name}.mp4\n" for name in train))
    lines = [f"{name}.mp4  {name[:-8]}  33  96  -1  -1  \n" for name in abnormal]
    lines += [f"{name}.mp4  Normal  -1  -1  -1  -1  \n" for name in normal]
    (root / "Temporal_Anomaly_Annotation.txt").write_text("".join(lines))
    folders = {name: name[:-8] for name in abnormal} | dict.fromkeys(normal, "Testing_Normal_Videos_Anomaly")
    return train + [f"{folder}/{name}" for name, folder in folders.items()]


def lay_out_xd_violence(root: Path) -> list[str]:
    train = [f"A.Film.{n}.2001__#00-01-45_label_{'A' if n % 2 else 'B1-0-0'}" for n in range(16)]
    abnormal, normal = ["v=a__#1_label_G-B2-0", "v=b__#1_label_B6-0-0"], ["v=c__#1_label_A", "v=d__#1_label_A"]
    (root / "train_videos.txt").write_text("".join(f"{name}\n" for name in train))
    (root / "test_videos.txt").write_text("".join(f"{name}\n" for name in abnormal + normal))
    (root / "annotations.txt").write_text("".join(f"{name} 32 96\n" for name in abnormal))
    return [f"1-1004/{name}" for name in train] + [f"test_videos/{name}" for name in abnormal + normal]


def lay_out_shanghaitech(root: Path) -> list[str]:
    abnormal, normal = [f"{n:02d}_00{n + 20}" for n in range(1, 11)], [f"{n:02d}_0{n + 10}" for n in range(1, 11)]
    (root / "SH_Train.txt").write_text("".join(f"{name}\n" for name in abnormal[:8] + normal[:8]))
    (root / "SH_Test.txt").write_text("".join(f"{name}\n" for name in abnormal[8:] + normal[8:]))
    (root / "test_frame_mask").mkdir()
    mask = np.zeros(16 * SNIPPETS, np.uint8)
    mask[32:96] = 1
    for name in abnormal:
        np.save(root / "test_frame_mask" / f"{name}.npy", mask)
    return [f"training/videos/{name}" for name in abnormal + normal]


LAY_OUT: dict[str, Callable[[Path], list[str]]] = {
    "ucf_crime": lay_out_ucf_crime,
    "xd_violence": lay_out_xd_violence,
    "shanghaitech": lay_out_shanghaitech,
}


def left_with(command: Callable[[list[str]], None], *arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        command([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def simulated(dataset: str, root: Path, out: Path, spec: FeatureSpec) -> None:
    """Features of the listed videos, whose anomalies stand out."""
    rng = np.random.default_rng(0)
    writer = FeatureWriter(out, spec, "float32")
    for video in open_listed(CatalogueConfig(kind=dataset, root=root)):
        values = rng.normal(size=(SNIPPETS, spec.crops_or_cells, spec.dim))
        if video.label:
            values[2:6, 0, 0] += 5
        placed: dict[str, Any] = {} if spec.grid is None else {"size": (320, 240), "seen": (0.0, 0.0, 320.0, 240.0)}
        writer.add(video.name, values, frames=16 * SNIPPETS, **placed)
    writer.finish()


@pytest.mark.parametrize(("dataset", "cells"), [*itertools.product(DATASETS, (False, True))])
def test_a_recipe_goes_from_lists_and_features_to_a_table(dataset: str, cells: bool, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "run"
    root.mkdir()
    LAY_OUT[dataset](root)
    simulated(dataset, root, tmp_path / "features", CELLS if cells else PICTURE)
    config = ROOT / "configs" / f"{dataset}{'_cells' if cells else ''}_detector.yaml"
    given = ["--catalogue.root", root, "--features.sets", tmp_path / "features", "--output", out]
    small = [*SMALL, *([] if cells else ["--objective.hard-mining.warmup-steps", "2"])]
    assert left_with(finetune.main, config, *given, *small) == 0
    assert left_with(evaluate.main, out, "--no-plots", "--resamples", "20") == 0
    table = (out / "evaluation" / "table.md").read_text()
    assert "| run | 2 | 0." in table
    if cells:
        assert left_with(localise.main, out, "--strips", "0", "--films", "0", "--resamples", "20") == 0


def write_video(path: Path, number: int) -> None:
    """A square that moves, faster in the middle where an anomaly is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for frame in range(16 * SNIPPETS):
            picture = np.full((64, 96, 3), 40 + number, np.uint8)
            left = (frame * (7 if 32 <= frame < 96 else 1)) % 80
            picture[20:40, left : left + 16] = 220
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)


def pretrain_with(arguments: list[str]) -> None:
    with mock.patch.object(sys, "argv", ["pretrain.py", *arguments]):
        pretrain()
        sys.exit(0)


@pytest.mark.slow
def test_a_recipe_goes_from_videos_to_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretraining, features, cells, detectors and the road end to end, with a small network in place of r3d_18."""
    root = tmp_path / "data"
    root.mkdir()
    for number, path in enumerate(lay_out_ucf_crime(root)):
        write_video(root / f"{path}.mp4", number)
    monkeypatch.chdir(tmp_path)
    configs, lists = ROOT / "configs", ["--catalogue.root", root]
    small = ["--backbone.name", "small3d", "--device", "cpu", "--precision", "fp32", "--optim.steps", "4"]
    small += ["--optim.batch-size", "2", "--optim.warmup-steps", "1", "--data.proxies", "None", "--data.workers", "0"]
    small += ["--validation-windows", "1", "--output", "run"]
    assert left_with(pretrain_with, configs / "ucf_crime_pretrain.yaml", *lists, *small) == 0
    backbone = ["--backbone", "run", "--device", "cpu", *lists]
    assert left_with(extract_features.main, configs / "ucf_crime_features.yaml", *backbone, "--out", "f") == 0
    cells = ["--out", "c", "--stage", "layers.2", "--grid", "map"]
    assert left_with(extract_features.main, configs / "ucf_crime_cells.yaml", *backbone, *cells) == 0
    for kind, sets in (("", ["--features.sets", "f"]), ("_cells", ["--features.sets", "c"])):
        given = [*lists, *sets, "--output", f"d{kind}", *SMALL, "--objective.hard-mining.warmup-steps", "2"]
        assert left_with(finetune.main, configs / f"ucf_crime{kind}_detector.yaml", *given) == 0
        assert "frame AUC" in Path(f"d{kind}/evaluation/table.md").read_text()
    ends = ["--videos.backbone", "run", "--videos.workers", "0", "--precision", "fp32", "--videos.cache", "cache"]
    given = [*lists, *ends, "--output", "e", *SMALL, "--seeds", "0"]
    assert left_with(finetune.main, configs / "ucf_crime_end_to_end_detector.yaml", *given) == 0


def test_the_flat_ground_truth_of_shanghaitech_is_that_of_its_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published array: the 44 abnormal clips in the list's order, each filled up to whole snippets of 16 frames,
    then the 155 normal ones. The features that it was made for are not here: of normal clips, any length does."""
    lists = REAL / "annotations" / "shanghaitech"
    if not lists.is_dir():
        pytest.skip("the real list files are not there (../shared/real/annotations beside the checkout)")
    names = (lists / "SH_Test.txt").read_text().split()
    masks = {path.stem: np.load(path).astype(bool) for path in (lists / "test_frame_mask").glob("*.npy")}
    abnormal, normal = [n for n in names if n in masks], [n for n in names if n not in masks]
    snippets = {name: -(-len(masks[name]) // 16) for name in abnormal}
    left = len(read_flat_truth(lists / "gt-sh.npy")) // 16 - sum(snippets.values())
    snippets |= {name: left // len(normal) + (number < left % len(normal)) for number, name in enumerate(normal)}
    writer = FeatureWriter(tmp_path / "i3d", FeatureSpec(encoder="i3d", weights_sha256=None, dim=1), "float32")
    for name, count in snippets.items():
        writer.add(name, np.ones((count, 1, 1), np.float32))
    writer.finish()
    (tmp_path / "test.list").write_text("".join(f"{name}\n" for name in abnormal + normal))
    flags = ["--gt", lists / "gt-sh.npy", "--features", tmp_path / "i3d", "--out", tmp_path / "sh.csv"]
    assert left_with(import_ground_truth.main, "--test", tmp_path / "test.list", *flags) == 0
    made = open_listed(CatalogueConfig(kind="csv", root=tmp_path, annotations=tmp_path / "sh.csv"))
    assert sum(end - start for video in made for start, end in video.spans) == 8028
    for name in abnormal:
        found = np.zeros(16 * snippets[name], bool)
        for start, end in made.by_name(name).spans:
            found[start:end] = True
        assert np.array_equal(found[: len(masks[name])], masks[name]), name
    capsys.readouterr()
    assert left_with(import_ground_truth.main, "--test", lists / "SH_Test.txt", *flags) == 2
    assert "or of this one in another order" in " ".join(capsys.readouterr().err.split())
