"""A search among cells: what is held out, that nothing of the test or of when is read, and how one is chosen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from downstream.ablation.config import read_config
from downstream.ablation.grid import make_cells
from downstream.ablation.run import ablate
from downstream.ablation.search import Found, Part, choose, difference, hold_out
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.errors import UserError
from tests.downstream.ablation.toy_flags import toy_flags


def flags(world: Path, output: Path) -> list[str]:
    return [
        *(*toy_flags(world, output), "--search", "2", "--bases", "topk_bce", "--terms", "base", "--optim.lr", "0.01"),
        *("--variants", "still=--optim.lr 1e-9", "bad=--detector.width 2 --detector.temporal multi_scale"),
    ]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain cell, one that learns nothing, and one that cannot be."""
    output = tmp_path_factory.mktemp("run") / "out"
    assert ablate(read_config(flags(world, output), "ablate.py")) == 1
    return output


def test_only_the_base_and_what_was_chosen_meet_the_test_videos(run: Path) -> None:
    told = json.loads((run / "search.json").read_text())
    assert [row["cell"] for row in told["rows"]] == ["toy/topk_bce-base", "toy/topk_bce-base-still"]
    plain, still = (np.mean(row["held_out_video_auc"]) for row in told["rows"])
    assert plain > still
    assert told["chosen"] == told["base"] == "toy/topk_bce-base"
    assert [row["cell"] for row in json.loads((run / "ablation.json").read_text())["rows"]] == ["toy/topk_bce-base"]
    assert sorted(path.name for path in (run / "cells" / "toy").iterdir()) == ["topk_bce-base"]
    text = (run / "search.md").read_text()
    assert "| **toy/topk_bce-base** |" in text
    assert "no cell is above the plain base by more than its standard error, so that stays" in text


def test_parts_know_neither_test_videos_nor_spans(world: Path, run: Path) -> None:
    truth = json.loads((world / "truth.json").read_text())["videos"]
    training = {name for name, entry in truth.items() if entry.get("split", "train") == "train"}
    held = []
    for number in range(2):
        videos = json.loads((run / "search" / f"part-{number}" / "videos.json").read_text())["videos"]
        assert not any({"spans", "boxes"} & entry.keys() for entry in videos.values())
        part = json.loads((run / "search.json").read_text())["parts"][number]
        held.append(set(part["held_out"]))
        assert videos.keys() == training - held[-1]
        card = (
            run / "search" / f"part-{number}" / "cells" / "toy" / "topk_bce-base" / "seed-0" / "detector/detector.json"
        )
        seen = json.loads(card.read_text())
        assert {*seen["trained_on"], *seen["selected_on"]} == videos.keys()
    assert held[0] != held[1]
    assert all({truth[name]["label"] for name in part} == {0, 1} for part in held)


def test_what_is_done_stays_and_other_settings_are_refused(world: Path, run: Path) -> None:
    files = sorted((run / "search").rglob("detector.safetensors"))
    before = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2 * 2 * 2
    assert ablate(read_config(flags(world, run), "ablate.py")) == 1  # the cell that cannot be is told again
    assert [file.stat().st_mtime_ns for file in files] == before
    with pytest.raises(UserError, match=r"these cells were begun with other settings:\n.*optim.steps"):
        ablate(read_config([*flags(world, run), "--optim.steps", "6"], "ablate.py"))


def found(world: Path, *held_out: list[float]) -> list[Found]:
    names = [f"v{number}=--optim.lr 1e-{number}" for number in range(1, len(held_out))]
    settings = [*flags(world, Path("out")), "--variants", *names]
    cells, _ = make_cells(read_config(settings, "ablate.py"))
    return [
        Found(cell=cell, held_out=np.array(own), validation=np.array(own[::-1]))
        for cell, own in zip(cells, held_out, strict=True)
    ]


def test_the_base_stays_unless_another_is_clearly_above(world: Path) -> None:
    catalogue = CatalogueConfig(kind="json")
    parts = [Part(number, catalogue, Catalogue([Video("a", "a")], "held out")) for number in range(3)]
    same, noisy, better = [0.7, 0.8, 0.75], [0.9, 0.6, 0.8], [0.75, 0.86, 0.8]
    assert choose(found(world, same, noisy), parts).chosen.cell.variant is None
    searched = choose(found(world, same, noisy, better), parts)
    assert searched.chosen.cell.variant == "v2"
    assert difference(searched.chosen, searched.base).mean == pytest.approx(0.16 / 3)
    assert [cell.variant for cell in searched.to_compare] == [None, "v2"]
    # inside, the validation figures are those of the parts in reverse: highest are those of noisy, better and noisy
    assert searched.nested.tolist() == [noisy[0], better[1], noisy[2]]


def test_one_part_is_no_search(world: Path) -> None:
    config = read_config(flags(world, Path("out")), "ablate.py")
    with pytest.raises(
        UserError, match=r"search is 1; it must be 0 .none. or at least 2, so that there is more than one"
    ):
        dataclasses.replace(config, search=1)


def test_parts_are_the_same_for_the_same_seed(world: Path, tmp_path: Path) -> None:
    once, again = (hold_out(read_config(flags(world, tmp_path / name), "ablate.py")) for name in ("a", "b"))
    assert [[video.name for video in part.held_out] for part in once] == [
        [video.name for video in part.held_out] for part in again
    ]
