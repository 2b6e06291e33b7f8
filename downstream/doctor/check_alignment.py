"""Features, lists and ground truth side by side: every disagreement, by video. Trains nothing, changes nothing.

    findings = examine([FeatureSet.open(folder)], open_catalogue(config))

`wrong`: training or evaluation would refuse it, or its figures could not be believed. `note`: allowed, worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from downstream.doctor.contents import content_findings
from downstream.doctor.finding import KINDS, Finding
from downstream.doctor.names import Suggestions, bare_name
from downstream.evaluation.ground_truth import length_verdict
from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.fusion import MAX_LENGTH_DIFFERENCE, cells_apart
from downstream.features.store import FeatureSet
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError


def examine(sets: Sequence[FeatureSet], catalogue: Catalogue, split: str = "all", top_k: int = 3) -> list[Finding]:
    """Every finding about the videos of `split` (all, train or test): wrong ones first, then by `KINDS` and by list.

    Reads every listed video's features once. A video with fewer than `top_k` snippets is a note. UserError: no set, or
    no video of that split.
    """
    videos = list(catalogue if split == "all" else catalogue.subset(split))
    if not sets:
        raise UserError("no feature set to examine: give the folder of one or more")
    if not videos:
        raise UserError(
            f"{catalogue.source} lists no video of split '{split}': nothing to examine{_other_split(catalogue)}"
        )
    found = [*_list_findings(videos)]
    for part in sets:
        where = f" ({part.folder})" if len(sets) > 1 else ""
        found += _name_findings(part, videos, catalogue, where)
        listed = [video for video in videos if video.name in part.videos]
        for video in listed:
            found += _grid_findings(video, part.videos[video.name], top_k, where)
            if part.spec.grid is not None:
                found += _place_findings(part.videos[video.name], where)
        found += content_findings(part, listed, where)
    # as in fusion: a set of one place fits every other, so it can vouch for none
    first = next((part for part in sets if part.spec.crops_or_cells > 1), sets[0])
    for other in (part for part in sets if part is not first):
        found += _pair_findings(first, other, videos)
    # stable: within a kind the order of the list stays
    return sorted(found, key=lambda finding: (finding.severity == "note", KINDS.index(finding.kind)))


def _other_split(catalogue: Catalogue) -> str:
    """Where all the videos are that are not in the split that was asked for."""
    there = sorted({video.split for video in catalogue})
    return f"; its {len(catalogue)} are all of '{there[0]}': --split {there[0]}" if there else ""


def _list_findings(videos: Sequence[Video]) -> Iterator[Finding]:
    """Labels, spans and splits, which need no features."""
    for video in videos:
        if problem := _label_problem(video):
            yield Finding("wrong", problem[0], video.name, f"'{video.name}': {problem[1]}")
    for split in ("train", "test"):
        part = [video for video in videos if video.split == split and _label(video) is not None]
        for label, name in ((0, "normal"), (1, "abnormal")):
            # a curve is over frames: abnormal test videos hold normal ones too
            if part and (split, label) != ("test", 0) and not any(_label(video) == label for video in part):
                yield Finding("wrong", "one class only", None, f"{split}: none of its {len(part)} videos is {name}")
    train = {bare_name(video.name): video.name for video in videos if video.split == "train"}
    for video in videos:
        twin = train.get(bare_name(video.name)) if video.split == "test" else None
        if twin is not None:
            text = f"'{video.name}' is a test video and '{twin}' a training video: one video under two names"
            yield Finding("wrong", "train and test overlap", video.name, text)


def _label(video: Video) -> int | None:
    return 1 if video.label is None and video.spans else video.label


def _label_problem(video: Video) -> tuple[str, str] | None:
    """Kind of fault, and what it is."""
    if video.label == 0 and video.spans:
        return "label", f"label 0 (normal), but frames {video.spans[0]} are annotated as anomalous"
    if video.label == 1 and video.split == "test" and not video.spans:
        return "no spans", "an abnormal test video without anomalous spans: it cannot be evaluated"
    return ("no label", "neither normal nor abnormal, nor anomalous spans") if _label(video) is None else None


def _name_findings(part: FeatureSet, videos: Sequence[Video], catalogue: Catalogue, where: str) -> Iterator[Finding]:
    """Listed videos without features, and features of videos that no split lists."""
    known = {video.name for video in catalogue}
    unlisted = [name for name in part.videos if name not in known]
    without = [video.name for video in videos if video.name not in part.videos]
    stored, listed = Suggestions(unlisted), Suggestions(without)
    for name in without:
        like = stored.like(name)
        mend = f"; there are features named '{like}': give both one name" if like else ""
        yield Finding("wrong", "no features", name, f"'{name}': listed, but it has no features{where}{mend}")
    for name in unlisted:
        like = listed.like(name)
        mend = f"; the list has '{like}'" if like else ""
        yield Finding("note", "not in the list", name, f"'{name}': has features{where}, but no list names it{mend}")


def _grid_findings(video: Video, entry: VideoEntry, top_k: int, where: str) -> Iterator[Finding]:
    """Snippets against the annotated and the stored length, and spans against both."""
    name = video.name
    if entry.snippets == 0:
        yield Finding("wrong", "no snippet", name, f"'{name}': features without a single snippet{where}")
        return
    if entry.snippets < top_k:
        text = f"'{name}': {entry.snippets} snippet(s), fewer than the {top_k} that top-{top_k} losses choose{where}"
        yield Finding("note", "few snippets", name, text)
    edges = entry.edges()
    if edges is None:
        if video.split == "test":
            text = f"'{name}': neither the length of the video nor of a snippet is known: it cannot be scored{where}"
            yield Finding("wrong", "length", name, text)
        return
    covered, snippet = int(edges[-1]), int(edges[-1] - edges[-2])
    if video.num_frames is not None:
        fine, sentence = length_verdict(video, covered, snippet)
        if covered != video.num_frames:
            yield Finding("note" if fine else "wrong", "length", name, sentence + where)
        if fine and entry.frames not in (None, covered, video.num_frames):
            text = f"'{name}': {video.num_frames} frames annotated, the video that was read had {entry.frames}{where}"
            yield Finding("note", "length", name, text)
    elif entry.frames is not None and abs(entry.frames - covered) >= snippet:
        text = f"'{name}': the video had {entry.frames} frames, {covered} covered by features: "
        yield Finding("wrong", "length", name, f"{text}{abs(entry.frames - covered)} frames off: wrong{where}")
    yield from _span_findings(video, video.num_frames or entry.frames or covered, covered, snippet, where)


def _span_findings(video: Video, last: int, covered: int, snippet: int, where: str) -> Iterator[Finding]:
    """The same limits as evaluation's: less than a snippet too far is cut, more is wrong."""
    for start, end in video.spans:
        text = f"'{video.name}': anomaly in frames [{start}, {end}), "
        if start >= last or end - last >= snippet:
            yield Finding("wrong", "anomaly beyond the end", video.name, f"{text}but there are {last}{where}")
        elif video.num_frames is None and start >= covered:
            text += f"but features cover {covered}, and without an annotated length no more counts{where}"
            yield Finding("wrong", "anomaly beyond the end", video.name, text)
        elif end > last:
            text += f"ends {end - last} beyond the last of {last}: cut there{where}"
            yield Finding("note", "anomaly beyond the end", video.name, text)


def _place_findings(entry: VideoEntry, where: str) -> Iterator[Finding]:
    """Cells of which nobody knows where in the picture they lie."""
    if entry.size is None or entry.seen is None:
        text = f"'{entry.name}': where in the picture its cells lie is not stored: extract it again{where}"
        yield Finding("wrong", "no place", entry.name, text)


def _pair_findings(first: FeatureSet, other: FeatureSet, videos: Sequence[Video]) -> Iterator[Finding]:
    """Whether two sets can be fused; the limits are fusion's own."""
    pair = f"{first.folder} and {other.folder}"
    yield from _places_findings(first, other, pair)
    if first.spec.encoder == other.spec.encoder:
        differences = first.spec.differences(other.spec)
        text = f"differ in {'; '.join(differences)}" if differences else "are of one kind: fusing adds nothing"
        yield Finding("note", "sets do not match", None, f"{pair}: the same encoder, they {text}")
    if first.spec.snippet_frames != other.spec.snippet_frames:
        text = f"snippets of {first.spec.snippet_frames} frames against {other.spec.snippet_frames}"
        yield Finding("wrong", "sets do not match", None, f"{pair}: {text}")
        return
    for video in videos:
        if video.name in first.videos and video.name in other.videos:
            mine, theirs = first.videos[video.name], other.videos[video.name]
            yield from _twin_findings(mine, theirs, pair)
            if first.spec.grid == other.spec.grid and (apart := cells_apart(mine, theirs, first.spec.grid)):
                yield Finding("wrong", "sets do not match", mine.name, f"'{mine.name}': {apart} ({pair})")


def _places_findings(first: FeatureSet, other: FeatureSet, pair: str) -> Iterator[Finding]:
    """Crops in another number or order, cells of another grid, cells against crops; one place serves all."""
    mine, theirs = first.spec, other.spec
    if 1 in (mine.crops_or_cells, theirs.crops_or_cells) and mine.crops_or_cells != theirs.crops_or_cells:
        return
    if (mine.grid, mine.crops) != (theirs.grid, theirs.crops):
        yield Finding("wrong", "sets do not match", None, f"{pair}: {_places(mine)} against {_places(theirs)}")


def _places(spec: FeatureSpec) -> str:
    return f"crops {spec.crops}" if spec.grid is None else f"cells {spec.grid[0]}x{spec.grid[1]}"


def _twin_findings(mine: VideoEntry, theirs: VideoEntry, pair: str) -> Iterator[Finding]:
    off = abs(mine.snippets - theirs.snippets)
    allowed = MAX_LENGTH_DIFFERENCE if mine.snippet_frames is not None else 0
    if mine.snippet_frames != theirs.snippet_frames:
        text = f"snippets of {mine.snippet_frames} frames against {theirs.snippet_frames}"
        yield Finding("wrong", "sets do not match", mine.name, f"'{mine.name}': {text} ({pair})")
    elif off:
        text = f"'{mine.name}': {mine.snippets} snippets against {theirs.snippets}, {off} off"
        text += ": cut to the shorter" if off <= allowed else ": wrong"
        yield Finding("note" if off <= allowed else "wrong", "sets do not match", mine.name, f"{text} ({pair})")
    if mine.frames is not None and theirs.frames is not None and mine.frames != theirs.frames:
        text = f"'{mine.name}': made from a video of {mine.frames} frames and one of {theirs.frames} ({pair})"
        yield Finding("wrong", "sets do not match", mine.name, text)
