"""The index of shards: what is opened by it alone, and what it cannot make us read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.remote.address import parse
from pretrain.errors import UserError

Make = Callable[[str], Path]
INFO = {"num_frames": 50, "fps": 25.0, "width": 64, "height": 48, "duration_seconds": 2.0, "codec": "h264"}
INFO |= {"rotation": 0, "is_constant_rate": True, "other_sizes": []}


def changed(root: Path, change: Callable[[dict[str, Any]], object]) -> CatalogueConfig:
    content = json.loads((root / "shards.json").read_text(encoding="utf-8"))
    change(content)
    (root / "shards.json").write_text(json.dumps(content), encoding="utf-8")
    return CatalogueConfig(kind="shards", root=root)


def test_it_opens_by_its_index_alone(make: Make) -> None:
    root = make("shards")
    (root / "shard-00000.tar").unlink()
    config = changed(root, lambda content: content["videos"][1].update(measured=INFO, spans=[], num_frames=50))
    found = open_catalogue(config)
    assert [video.name for video in found] == ["a", "b", "c"]
    place = parse(found[1].path)
    assert (place.store, place.member, place.offset, place.size) == (f"{root}/shard-00000.tar", "b.mp4", 1536, 1)
    assert found[1].measured is not None
    assert (found[0].measured, found[1].measured.num_frames, found[1].num_frames) == (None, 50, 50)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="x/1"), "has the format 'x/1', not 'anomaly-pretext/shards/1'"),
        (lambda c: c.update(shards={"../up.tar": {"bytes": 9}}), r"names the shard '../up.tar', which is no name of a"),
        (lambda c: c.update(shards={"/etc/x.tar": {"bytes": 9}}), "which is no name of a tar file beside it"),
        (lambda c: c["videos"][0].update(path="../../a.mp4"), "the name '../../a.mp4' leads out of the tar file"),
        (lambda c: c["videos"][0].update(shard="s3://other/x.tar"), "which is none of the shards"),
        (lambda c: c["videos"][0].update(offset=0), "offset is 0, not a whole number from 512"),
        (lambda c: c["videos"][0].update(bytes=10**15), r"ends beyond the 10,240 bytes of shard-00000.tar"),
        (lambda c: c["videos"][0].update(sha256="z"), "its sha256 is not 64 figures"),
        (lambda c: c["videos"][0].update(spans=[[0, 5]]), "label 0 .normal., yet it has anomalous spans"),
        (lambda c: c["videos"][0].update(pickle=1), "unknown key 'pickle'"),
        (lambda c: c["videos"][0].update(name="b"), "'b' stands twice"),
        (lambda c: c["videos"][0].update(measured=INFO | {"width": -1}), "measured: width is -1"),
        (lambda c: c.update(videos="a"), "videos is 'a', not a list"),
    ],
)
def test_what_cannot_be_is_told(make: Make, change: Callable[[dict[str, Any]], object], message: str) -> None:
    config = changed(make("shards"), change)
    with pytest.raises(UserError, match=message):
        open_catalogue(config)
