"""Files of an encoder, found again from the folder of what was made with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from downstream.features.config import EncoderConfig
from downstream.features.places import found_again, places_from, places_of


def test_ways_lead_from_any_working_directory_and_after_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a"
    for name in ("backbone", "features", "runs/x/detector"):
        (root / name).mkdir(parents=True)
    (root / "w.pth").touch()
    monkeypatch.chdir(root)
    config = EncoderConfig(backbone="backbone", weights=Path("w.pth"))
    of_set = places_of(config.as_json(), Path("features"))
    assert of_set == {"backbone": "../backbone", "weights": "../w.pth"}
    of_detector = places_from(Path("features"), of_set, Path("runs/x/detector"))
    assert of_detector == {"backbone": "../../../backbone", "weights": "../../../w.pth"}
    monkeypatch.chdir(tmp_path)
    root.rename(tmp_path / "b")
    found = found_again(config, Path("b/runs/x/detector"), of_detector)
    assert (found.backbone, found.weights) == ("b/backbone", Path("b/w.pth"))


def test_names_and_what_is_gone_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = EncoderConfig(backbone="small3d")
    assert places_of(config.as_json(), tmp_path) == {}
    assert places_of(None, tmp_path) == {}
    assert places_from(tmp_path, None, tmp_path / "x") == {}
    assert found_again(config, tmp_path, {"backbone": "../gone"}) == config
    assert found_again(config, tmp_path, None) == config


def test_names_of_a_kind_and_a_path_keep_their_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models/videomae", "elsewhere", "features", "runs/x"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    config = EncoderConfig(backbone="hf/models/videomae")
    of_set = places_of(config.as_json(), Path("features"))
    assert of_set == {"backbone": "hf/../models/videomae"}
    of_detector = places_from(Path("features"), of_set, Path("runs/x"))
    assert of_detector == {"backbone": "hf/../../models/videomae"}
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found_again(config, Path("../runs/x"), of_detector).backbone == "hf/../models/videomae"


@pytest.mark.parametrize("way", ["a" * 5000, "../" * 3000, "\0", "\ud800", ""])
def test_ways_that_no_file_can_have_and_other_keys_change_nothing(way: str, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    config = EncoderConfig(backbone="small3d")
    assert found_again(config, tmp_path / "there", {"backbone": way, "weights": way}) == config
    others: dict[str, Any] = {"unknown": "there", "number": 3}
    assert found_again(config, tmp_path, others) == config
    assert places_from(tmp_path, others, tmp_path) == {}
    assert places_of({"backbone": way, "weights": way}, tmp_path / "there") == {}
