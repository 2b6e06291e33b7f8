"""The command `import_ground_truth`: lists and ground truth of other code bases as a CSV catalogue of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from downstream.features.flat_truth import Length, Spans, read_flat_truth, split_truth
from downstream.features.peer_lists import Listed, read_peer_list, require_labels
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid
from downstream.features.truth_config import TruthConfig
from pretrain.data.catalogue import SPLITS, Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.catalogues.csv_file import COLUMNS
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.xd_violence import read_spans
from pretrain.errors import UserError, problem_list
from pretrain.files import write_text
from pretrain.tables import table_line


def import_truth(config: TruthConfig) -> None:
    """Read, check, write, open what was written; print what was decided."""
    test = read_peer_list(config.test, config.strip)
    train = [(file, read_peer_list(file, config.strip, config.abnormal_first)) for file in config.train]
    for file, videos in train:
        require_labels(videos, file)
    _refuse_repeats([(config.test, test), *train])
    lengths = _lengths(config)
    if config.annotations is not None:
        require_labels(test, config.test)
        spans, how = _annotated(config.annotations, test), f"spans: {config.annotations}"
    else:
        assert config.gt is not None
        spans, how = split_truth(read_flat_truth(config.gt), test, lengths, config.frames_per_snippet)
        how = f"a video's share of {config.gt}: {how}"
    lines = [table_line(COLUMNS)]
    lines += [_line(video, "train", (), None, config.fps) for _, videos in train for video in videos]
    for video in test:
        own, frames = spans.get(video.name, ()), lengths.get(video.name, Length()).frames
        lines.append(_line(_told(video, own), "test", _within(own, frames), frames, config.fps))
    write_text(config.out, "".join(lines))
    made = open_catalogue(
        CatalogueConfig(kind="csv", annotations=config.out, root=config.out.parent, check_files=False)
    )
    print("\n".join([how, *_counts(config.out, made)]))


def _told(video: Listed, spans: Spans) -> Listed:
    """Where neither name nor list says a test video's label, its frames do."""
    return video if video.label is not None else video._replace(label=int(bool(spans)))


def _within(spans: Spans, frames: int | None) -> Spans:
    """The spans as far as there are frames: ground truth is filled up to whole snippets."""
    if frames is None:
        return spans
    return tuple((start, min(end, frames)) for start, end in spans if start < frames)


def _line(video: Listed, split: str, spans: Spans, frames: int | None, fps: float | None) -> str:
    told = " ".join(f"{start}:{end}" for start, end in spans)
    cells = (video.name, video.name, video.label, split, video.class_name, video.group, frames, fps, told)
    return table_line(cells)


def _lengths(config: TruthConfig) -> dict[str, Length]:
    """Of every video that the features or the grid know."""
    found: dict[str, Length] = {}
    if config.features is not None:
        for name, entry in FeatureSet.open(config.features).videos.items():
            found[name] = Length(entry.snippets, entry.frames)
    if config.grid is not None:
        for name, timing in read_grid(config.grid, needs_snippets=False).items():
            found[name] = Length(found.get(name, Length()).snippets, timing.frames or found.get(name, Length()).frames)
    return found


def _annotated(file: Path, test: Sequence[Listed]) -> Mapping[str, Spans]:
    """Spans by name; UserError where they do not go with the labels."""
    problems = Problems(str(file))
    spans = read_spans(file, {video.name for video in test}, problems)
    for video in test:
        if bool(video.label) != (video.name in spans):
            state = "has" if video.name in spans else "has no"
            problems.add(f"{video.where}: '{video.name}' is {video.class_name or video.label} but {state} line there")
    problems.stop_if_any()
    return spans


def _refuse_repeats(lists: Sequence[tuple[Path, Sequence[Listed]]]) -> None:
    first: dict[str, str] = {}
    problems = []
    for _, videos in lists:
        for video in videos:
            if video.name in first:
                problems.append(f"{video.where}: '{video.name}' is listed at {first[video.name]} too")
            first.setdefault(video.name, video.where)
    if problems:
        raise UserError(
            f"{len(problems)} video(s) are in two lists; nothing may be trained on that is tested:\n"
            f"{problem_list(problems)}"
        )


def _counts(out: Path, videos: Catalogue) -> list[str]:
    lines = []
    for split in SPLITS:
        own = videos.subset(split)
        abnormal = sum(video.label == 1 for video in own)
        frames = sum(end - start for video in own for start, end in video.spans)
        more = f", {frames:,} anomalous frames" if split == "test" else ""
        lines.append(f"{split}: {len(own)} videos, {abnormal} abnormal{more}")
    return [*lines, f"written to {out}; next: --catalogue.kind csv --catalogue.annotations {out}"]
