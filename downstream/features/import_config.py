"""What scripts/import_features.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pretrain.data.catalogue import CatalogueConfig

NO_CATALOGUE = CatalogueConfig(root=Path("none"))


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
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
