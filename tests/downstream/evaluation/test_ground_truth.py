from __future__ import annotations

import json

import numpy as np
import pytest

from downstream.evaluation.ground_truth import align, length_verdict
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime import read_annotations
from pretrain.errors import UserError
from tests.paths import REAL

UCF = REAL / "annotations" / "ucf_crime"


def video(name: str, label: int | None, frames: int | None, *spans: tuple[int, int]) -> Video:
    return Video(name, "", label, "test", None, None, spans, (), frames)


def grid(name: str, snippets: int, length: int = 16) -> VideoScores:
    return make_scores(name, np.linspace(0.1, 0.9, snippets), np.arange(snippets + 1) * length)


NORMAL = (grid("n", 2), video("n", 0, 32))


@pytest.mark.parametrize(
    ("frames", "tail", "positive", "negative"),
    [
        (48, "hold", [0, 6, 16], [16, 10, 0]),
        (50, "hold", [0, 6, 16], [16, 10, 2]),  # the tail takes the last score
        (50, "drop", [0, 6, 16], [16, 10, 0]),
        (40, "hold", [0, 6, 8], [16, 10, 0]),  # the last snippet is cut
        (None, "hold", [0, 6, 16], [16, 10, 0]),  # what is covered counts
    ],
)
def test_frames_of_each_snippet(frames: int | None, tail: str, positive: list[int], negative: list[int]) -> None:
    truth = video("a", 1, frames, (26, 40 if frames == 40 else 48))
    result = align([grid("a", 3), NORMAL[0]], [truth, NORMAL[1]], tail)
    first = result.videos[0]
    assert first.positive.tolist() == positive
    assert first.negative.tolist() == negative
    assert first.frames == sum(positive) + sum(negative)
    assert any("length not annotated" in note for note in result.notes) == (frames is None)


def test_spans_inside_and_across_snippets() -> None:
    truth = video("a", 1, 60, (1, 3), (5, 6), (14, 35), (59, 60))
    (found,) = align([grid("a", 4, 15)], [truth]).videos
    mask = np.zeros(60, int)
    for start, end in truth.spans:
        mask[start:end] = 1
    assert found.positive.tolist() == mask.reshape(4, 15).sum(axis=1).tolist()


def test_an_end_just_beyond_the_video_is_cut_and_said() -> None:
    result = align([grid("a", 3)], [video("a", 1, 47, (10, 48))])
    assert result.videos[0].spans == ((10, 47),)
    assert result.notes == ("'a': anomaly to frame 48 cut at the last of 47",)


def test_verdict_sentences() -> None:
    truth = video("Abuse028_x264", 1, 1411, (164, 240))
    assert length_verdict(truth, 1408, 16) == (
        True,
        "'Abuse028_x264': 1411 frames annotated, 1408 covered by features: tail rule applies",
    )
    assert length_verdict(truth, 1395, 16) == (
        False,
        "'Abuse028_x264': 1411 frames annotated, 1395 covered by features: 16 frames off: wrong",
    )
    assert length_verdict(truth, 1396, 16)[0]
    assert length_verdict(truth, 1426, 16)[0]
    assert not length_verdict(truth, 1427, 16)[0]
    assert length_verdict(truth, 1411, 16)[1].endswith("covered by features")


def test_every_problem_is_named_at_once() -> None:
    scores = [grid(name, 3) for name in ("a", "Abuse028", "beyond", "bare", "odd", "unsaid")]
    videos = [
        video("a", 1, 64, (0, 10)),
        video("Abuse028_x264", 1, 48, (0, 10)),
        video("beyond", 1, 48, (40, 64)),
        video("bare", 1, 48),
        video("odd", 0, 48, (0, 10)),
        video("unsaid", None, 48),
    ]
    with pytest.raises(UserError) as error:
        align(scores, videos)
    for part in (
        "7 problem(s)",
        "'a': 64 frames annotated, 48 covered by features: 16 frames off: wrong",
        "'Abuse028': scores, but it is none of the 6 videos to evaluate; did you mean 'Abuse028_x264'?",
        "'Abuse028_x264': a video to evaluate without scores",
        "'beyond': anomaly in frames [40, 64), but there are 48",
        "'bare': label 1 (abnormal), but its anomalous frames are not annotated",
        "'odd': label 0 (normal), but frames (0, 10) are annotated",
        "'unsaid': neither a label nor anomalous frames",
    ):
        assert part in str(error.value)


def test_one_class_alone_and_an_unknown_tail_rule_are_refused() -> None:
    with pytest.raises(UserError, match="1 videos hold 0 anomalous and 32 normal frames; a curve needs both"):
        align([NORMAL[0]], [NORMAL[1]])
    with pytest.raises(UserError, match="tail rule 'holt'; did you mean 'hold'"):
        align([NORMAL[0]], [NORMAL[1]], "holt")


@pytest.mark.skipif(not UCF.is_dir(), reason="real data (../shared/real) is not here")
def test_the_real_ucf_crime_test_set() -> None:
    """Frames of the real lists. Published: 1,111,808, padded to whole snippets 1,114,144; of them anomalous 84,182.

    Frame counts of these files are 224 more (another decoder's count). Anomalous: 84,189 with the end frame outside
    and the start inside; one more for each of the 156 anomalies with both inside, less what lies beyond the end.
    """
    annotations = read_annotations(UCF / "Temporal_Anomaly_Annotation.txt", Problems("lists", False)).values()
    frames = json.loads((UCF / "test_num_frames.json").read_text())
    snippets = {item.name: -(-frames[item.name] // 16) for item in annotations}
    scores = [grid(name, count) for name, count in snippets.items()]
    counted = []
    for known in (True, False):
        videos = [
            video(item.name, int(bool(item.spans)), frames[item.name] if known else None, *item.spans)
            for item in annotations
        ]
        aligned = align(scores, videos)
        anomalous = sum(int(entry.positive.sum()) for entry in aligned.videos)
        counted.append((len(aligned.videos), sum(entry.frames for entry in aligned.videos), anomalous))
        if known:
            assert [note.partition(":")[0] for note in aligned.notes] == ["'Explosion033_x264'", "'Shooting015_x264'"]
    assert counted == [(290, 1_112_032, 84_343), (290, 1_114_320, 84_345)]
    assert 84_345 - sum(len(item.spans) for item in annotations) == 84_189
