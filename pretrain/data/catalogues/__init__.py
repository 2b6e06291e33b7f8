"""Opening a catalogue: one file a dataset, chosen by `CatalogueConfig.kind`.

    catalogue = open_catalogue(CatalogueConfig(kind="ucf_crime", root=Path("data/UCF_Crimes")))
    training = open_training_catalogue(...)      # what pretraining gets: never a test video

To add a dataset: its file with `open_NAME(config) -> Catalogue`, a line in `CATALOGUES`, its test, a section in
docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Callable

from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues.csv_file import open_csv
from pretrain.data.catalogues.fetched_lists import with_lists_here
from pretrain.data.catalogues.folder import open_folder
from pretrain.data.catalogues.json_file import open_json
from pretrain.data.catalogues.shanghaitech import open_shanghaitech
from pretrain.data.catalogues.shards import open_shards
from pretrain.data.catalogues.ucf_crime import open_ucf_crime
from pretrain.data.catalogues.ucf_crime2local import open_ucf_crime2local
from pretrain.data.catalogues.xd_violence import open_xd_violence
from pretrain.errors import UserError, nearest
from pretrain.plugins import find_plugins, not_callable

CATALOGUES: dict[str, Callable[[CatalogueConfig], Catalogue]] = {
    "folder": open_folder,
    "csv": open_csv,
    "json": open_json,
    "shards": open_shards,
    "ucf_crime": open_ucf_crime,
    "xd_violence": open_xd_violence,
    "shanghaitech": open_shanghaitech,
    "ucf_crime2local": open_ucf_crime2local,
}
CATALOGUES |= find_plugins("datasets", CATALOGUES, not_callable)


def open_catalogue(config: CatalogueConfig) -> Catalogue:
    """All videos of a dataset, train and test. Decodes nothing.

    UserError: an unknown kind, a root or list file that is not there, or every problem of the lists at once.
    """
    if config.kind not in CATALOGUES:
        known = ", ".join(CATALOGUES)
        raise UserError(f"unknown catalogue kind '{config.kind}'{nearest(config.kind, CATALOGUES)} (known: {known})")
    return CATALOGUES[config.kind](with_lists_here(config))


def open_training_catalogue(config: CatalogueConfig) -> Catalogue:
    """The training videos alone. There is no option to get a test video from here; UserError if none is left."""
    catalogue = open_catalogue(config)
    training = catalogue.subset("train")
    if not training:
        raise UserError(
            f"{catalogue.source}: all {len(catalogue)} videos are test videos, none is left to train on;"
            " give it videos whose split is train"
        )
    return training
