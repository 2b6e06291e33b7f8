"""The command `import_features`: its settings, and import, export or description as they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro
from tqdm import tqdm

from downstream.features.describe import describe
from downstream.features.exporting import export_features
from downstream.features.import_sources import LayoutFlags, plan_sources
from downstream.features.importing import import_features
from downstream.features.store import FeatureSet
from downstream.features.timing import timings_of
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError

NO_CATALOGUE = CatalogueConfig(root=Path("none"))
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a feature set of existing feature files. Sources are folders (searched through) and list files.

    Read are arrays (snippets, dim), (snippets, crops, dim), (crops, snippets, dim) in .npy, .npz, .pt, .h5 or .mat
    files, one file a crop (NAME__0.npy ...), folders of video_features, and .txt files of one snippet a line (C3D). A
    video is named as its file, less suffix and `__N`, or as its array in an .h5 file of many.
    Everything is checked before anything is written; what was decided by itself is printed with the rule.

        python scripts/import_features.py features/train.list features/test.list --root features --encoder i3d_rgb \\
            --strip _i3d --out data/i3d
        python scripts/import_features.py c3d/ --encoder c3d --segments --out data/c3d
        python scripts/import_features.py data/i3d --export crop_files --out peers/i3d
        python scripts/import_features.py --describe data/i3d
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders or list files of features; with --export and --describe: one feature set."""
    out: Path | None = None
    """Folder of the set (or, with --export, of the files). A set of the same kind there gains or replaces videos."""
    encoder: str | None = None
    """What made the features, e.g. i3d_rgb. Needed: sets are told apart by it."""
    layout: Annotated[LayoutFlags, tyro.conf.arg(name="")] = field(default_factory=LayoutFlags)
    catalogue: CatalogueConfig = field(default_factory=lambda: NO_CATALOGUE)
    """Where frames and fps of each video are known from (root: the videos); with --export: which are abnormal."""
    dtype: Literal["float16", "float32"] | None = None
    """Stored type; default float16 (with --export: that of the set)."""
    export: Literal["snippets_crops_dim", "crops_snippets_dim", "snippets_dim", "crop_files", "c3d_text"] | None = None
    """Write the set's videos as files of this layout, and a list of them."""
    crop: str | None = None
    """With --export: this crop alone."""
    order: Literal["stored", "abnormal_first", "normal_first"] = "stored"
    """With --export: order of the list; by label needs --catalogue.root."""
    describe: bool = False
    """Print what a set holds."""


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
    catalogue = _catalogue(config)
    plan = plan_sources(
        config.sources,
        config.layout,
        encoder,
        config.dtype or "float16",
        known=None if catalogue is None else timings_of(catalogue, lambda videos: _bar(videos, "reading videos")),
        progress=_bar,
    )
    print("\n".join(plan.notes))
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
