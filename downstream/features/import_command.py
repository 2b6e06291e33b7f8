"""The command `import_features`: its settings, and import, export or description as they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from downstream.features.describe import describe
from downstream.features.exporting import export_features
from downstream.features.find_files import find_files
from downstream.features.import_config import NO_CATALOGUE, ImportConfig
from downstream.features.importing import ImportOptions, import_features, plan_import
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid, timings_of
from pretrain.data.catalogue import Catalogue
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError

Item = TypeVar("Item")


def import_or_export(config: ImportConfig) -> None:
    """Import, export or describe, as the flags say."""
    if not config.sources:
        raise UserError("nothing to read: give a folder of feature files or a list file (see --help)")
    if config.describe:
        print("\n".join(describe(FeatureSet.open(_only_source(config, "--describe")))))
    elif config.export is not None:
        export(config, config.export)
    else:
        make_set(config)


def make_set(config: ImportConfig) -> None:
    """Find, check, import; print each decision."""
    out, encoder = config.out, config.encoder
    if out is None or encoder is None:
        raise UserError(
            f"{'--out' if out is None else '--encoder'} is missing: "
            + ("where the feature set goes" if out is None else "say what made these features, e.g. --encoder i3d_rgb")
        )
    files = find_files(config.sources, config.root)
    catalogue = _catalogue(config)
    plan = plan_import(
        files.paths,
        ImportOptions(
            encoder=encoder,
            dtype=config.dtype or "float16",
            axes=config.axes,
            crop_files={"auto": None, "yes": True, "no": False}[config.crop_files],
            crop_names=config.crop_names,
            strip=config.strip,
            snippet_frames=config.snippet_frames,
            segments=config.segments,
        ),
        grid=None if config.grid is None else read_grid(config.grid),
        known=None if catalogue is None else timings_of(catalogue, lambda videos: _bar(videos, "reading videos")),
        progress=_bar,
    )
    print("\n".join([*files.notes, *plan.notes]))
    done = import_features(plan, out, _bar)
    kept = set(done.videos) - {video.name for video in plan.videos}
    if kept:
        print(f"{len(kept)} video(s) that were in {out} before are kept, e.g. '{min(kept)}'")
    print("\n".join(describe(done)))


def export(config: ImportConfig, layout: str) -> None:
    """Write a set's files and their list."""
    features = FeatureSet.open(_only_source(config, "--export"))
    if config.out is None:
        raise UserError("--out is missing: the folder for the files")
    names = None if config.order == "stored" else _by_label(features, config)
    listed = export_features(
        features,
        layout,
        config.out,
        names=names,
        crop=config.crop,
        dtype=config.dtype,
        progress=lambda videos: _bar(videos, "exporting"),
    )
    print(f"{len(features.videos)} videos written as {layout}; their files are listed in {listed}")


def _only_source(config: ImportConfig, flag: str) -> Path:
    if len(config.sources) != 1:
        raise UserError(f"{flag} takes one feature set, not {len(config.sources)}")
    return config.sources[0]


def _catalogue(config: ImportConfig) -> Catalogue | None:
    if config.catalogue == NO_CATALOGUE:
        return None
    if config.catalogue.root == NO_CATALOGUE.root:
        raise UserError("--catalogue.root is missing: the folder that holds the videos")
    return open_catalogue(config.catalogue)


def _by_label(features: FeatureSet, config: ImportConfig) -> list[str]:
    catalogue = _catalogue(config)
    if catalogue is None:
        raise UserError(f"--order {config.order} needs the labels: give --catalogue.root and --catalogue.kind")
    labels = {video.name: video.label for video in catalogue}
    if unknown := [name for name in features.videos if labels.get(name) is None]:
        raise UserError(f"{catalogue.source} has no label of {len(unknown)} video(s), e.g. '{unknown[0]}'")
    first = 1 if config.order == "abnormal_first" else 0
    return sorted(features.videos, key=lambda name: labels[name] != first)


def _bar(items: Iterable[Item], what: str) -> Iterable[Item]:
    return tqdm(items, desc=what, unit="video", disable=None)
