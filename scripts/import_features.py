"""Read feature files of other code bases into a feature set, write them back, or say what a set holds."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro
from tqdm import tqdm

from downstream.features.exporting import export_features
from downstream.features.find_files import find_files
from downstream.features.importing import ImportOptions, import_features, plan_import
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid, timings_of
from pretrain.cli import parse, run_command
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError

PROG = "import_features.py"
NO_CATALOGUE = CatalogueConfig(root=Path("none"))
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a feature set of existing feature files. Sources are folders (searched through) and list files.

    Read are .npy files (snippets, dim), (snippets, crops, dim), (crops, snippets, dim), one file a crop
    (NAME__0.npy ...), and .txt files of one snippet a line (C3D). A video is named as its file, less suffix and `__N`.
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
    snippet_frames: int | None = None
    """Video frames a snippet stands for; default 16."""
    segments: bool = False
    """Every video was divided evenly into its rows, whatever its length (C3D: 32)."""
    grid: Path | None = None
    """CSV with the columns name, snippet_frames[, frames, fps], where snippets differ from video to video."""
    catalogue: CatalogueConfig = field(default_factory=lambda: NO_CATALOGUE)
    """Where frames and fps of each video are known from (root: the videos); with --export: which are abnormal."""
    dtype: Literal["float16", "float32"] | None = None
    """Stored type; default float16 (with --export: that of the set)."""
    axes: Literal["snippets,crops,dim", "crops,snippets,dim"] | None = None
    """Order of the axes, where it cannot be told: the crop axis is the one of length 1, 5 or 10 in all files."""
    crop_files: Literal["auto", "yes", "no"] = "auto"
    """Whether each file is one crop; auto: yes, if all file names end in __N."""
    crop_names: tuple[str, ...] = ()
    """Names of the crops in stored order. Default: centre, corners (and their mirrors) for 1, 5 or 10."""
    strip: str = ""
    """An ending of file names that is no part of the video's name, e.g. _i3d."""
    root: Path | None = None
    """The folder that paths in list files are relative to. Default: the list's own."""
    export: Literal["snippets_crops_dim", "crops_snippets_dim", "snippets_dim", "crop_files", "c3d_text"] | None = None
    """Write the set's videos as files of this layout, and a list of them."""
    crop: str | None = None
    """With --export: this crop alone."""
    order: Literal["stored", "abnormal_first", "normal_first"] = "stored"
    """With --export: order of the list; by label needs --catalogue.root."""
    describe: bool = False
    """Print what a set holds."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_command(lambda: run(parse(Options, given, PROG)))


def run(options: Options) -> None:
    """Import, export or describe, as the flags say."""
    if not options.sources:
        raise UserError("nothing to read: give a folder of feature files or a list file (see --help)")
    if options.describe:
        print("\n".join(describe(FeatureSet.open(_only_source(options, "--describe")))))
    elif options.export is not None:
        export(options, options.export)
    else:
        make_set(options)


def make_set(options: Options) -> None:
    """Find, check, import; print each decision."""
    out, encoder = options.out, options.encoder
    if out is None or encoder is None:
        raise UserError(
            f"{'--out' if out is None else '--encoder'} is missing: "
            + ("where the feature set goes" if out is None else "say what made these features, e.g. --encoder i3d_rgb")
        )
    found = find_files(options.sources, options.root)
    catalogue = _catalogue(options)
    plan = plan_import(
        found.paths,
        ImportOptions(
            encoder=encoder,
            dtype=options.dtype or "float16",
            axes=options.axes,
            crop_files={"auto": None, "yes": True, "no": False}[options.crop_files],
            crop_names=options.crop_names,
            strip=options.strip,
            snippet_frames=options.snippet_frames,
            segments=options.segments,
        ),
        grid=None if options.grid is None else read_grid(options.grid),
        known=None if catalogue is None else timings_of(catalogue, lambda videos: _bar(videos, "reading videos")),
        progress=_bar,
    )
    print("\n".join([*found.notes, *plan.notes]))
    done = import_features(plan, out, _bar)
    kept = set(done.videos) - {video.name for video in plan.videos}
    if kept:
        print(f"{len(kept)} video(s) that were in {out} before are kept, e.g. '{min(kept)}'")
    print("\n".join(describe(done)))


def export(options: Options, layout: str) -> None:
    """Write a set's files and their list."""
    features = FeatureSet.open(_only_source(options, "--export"))
    if options.out is None:
        raise UserError("--out is missing: the folder for the files")
    names = None if options.order == "stored" else _by_label(features, options)
    listed = export_features(
        features,
        layout,
        options.out,
        names=names,
        crop=options.crop,
        dtype=options.dtype,
        progress=lambda videos: _bar(videos, "exporting"),
    )
    print(f"{len(features.videos)} videos written as {layout}; their files are listed in {listed}")


def describe(features: FeatureSet) -> list[str]:
    """Kind, videos, snippets and bytes of a set, a line each."""
    spec, entries = features.spec, list(features.videos.values())
    lengths = [entry.snippets for entry in entries]
    frames = Counter(entry.snippet_frames for entry in entries)
    spans = ", ".join(
        f"{'evenly divided' if n is None else f'{n} frames'} ({c} videos)" for n, c in frames.most_common(4)
    )
    dtype = features.read(entries[0].name).dtype
    num_bytes = sum(lengths) * spec.places * spec.dim * dtype.itemsize
    rows = {
        "set": str(features.folder),
        "encoder": f"{spec.encoder}, weights {spec.weights_sha256 or 'unknown'}",
        "numbers": f"{spec.dim} a snippet and {'crop' if spec.grid is None else 'cell'}, {dtype}",
        **_places(features),
        "preprocessing": spec.describe_preprocessing(),
        "videos": f"{len(entries)}, frames known of {sum(entry.frames is not None for entry in entries)}",
        "snippets": f"{sum(lengths)}, {min(lengths)} to {max(lengths)} a video",
        "snippet": spans + (f" and {len(frames) - 4} other lengths" if len(frames) > 4 else ""),
        "bytes": f"{num_bytes} ({num_bytes / 1e6:.1f} MB)",
    }
    return [f"  {label:<13} {value}" for label, value in rows.items()]


def _places(features: FeatureSet) -> dict[str, str]:
    """What a snippet's vectors are of: the crops' names, or the grid and the part of the picture that it divides."""
    spec = features.spec
    if spec.grid is None:
        return {"crops": f"{len(spec.crops)}: {', '.join(spec.crops)}"}
    parts = Counter((entry.size, entry.seen) for entry in features.videos.values())
    (size, seen), count = parts.most_common(1)[0]
    where = "unknown"
    if size is not None and seen is not None:
        x1, y1, x2, y2 = seen
        where = f"x {x1:.0f} to {x2:.0f}, y {y1:.0f} to {y2:.0f} of {size[0]}x{size[1]} pixels ({count} videos)"
    more = f" and {len(parts) - 1} other parts or sizes" if len(parts) > 1 else ""
    made_of = "the encoder's own map" if spec.stage is None else f"the map of {spec.stage}"
    return {"cells": f"{spec.grid[0]} rows x {spec.grid[1]} columns of {made_of}", "part seen": where + more}


def _only_source(options: Options, flag: str) -> Path:
    if len(options.sources) != 1:
        raise UserError(f"{flag} takes one feature set, not {len(options.sources)}")
    return options.sources[0]


def _catalogue(options: Options) -> Catalogue | None:
    if options.catalogue == NO_CATALOGUE:
        return None
    if options.catalogue.root == NO_CATALOGUE.root:
        raise UserError("--catalogue.root is missing: the folder that holds the videos")
    return open_catalogue(options.catalogue)


def _by_label(features: FeatureSet, options: Options) -> list[str]:
    catalogue = _catalogue(options)
    if catalogue is None:
        raise UserError(f"--order {options.order} needs the labels: give --catalogue.root and --catalogue.kind")
    labels = {video.name: video.label for video in catalogue}
    if unknown := [name for name in features.videos if labels.get(name) is None]:
        raise UserError(f"{catalogue.source} has no label of {len(unknown)} video(s), e.g. '{unknown[0]}'")
    first = 1 if options.order == "abnormal_first" else 0
    return sorted(features.videos, key=lambda name: labels[name] != first)


def _bar(items: Iterable[Item], what: str) -> Iterable[Item]:
    return tqdm(items, desc=what, unit="video", disable=None)


if __name__ == "__main__":
    main()
