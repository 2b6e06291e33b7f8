"""Files whose names begin with `a` are abnormal; `test_` in the name is for testing."""

from anomaly_pretext.plugins import Catalogue, CatalogueConfig, UserError, Video


def open_by_first_letter(config: CatalogueConfig) -> Catalogue:
    paths = sorted(config.root.glob("*.mp4"))
    if not paths:
        raise UserError(f"{config.root} holds no .mp4; give the folder of the videos (--catalogue.root)")
    videos = [
        Video(path.stem, str(path), int(path.name[0] == "a"), "test" if "test_" in path.name else "train")
        for path in paths
    ]
    return Catalogue(videos, f"by_first_letter, {config.root}")
