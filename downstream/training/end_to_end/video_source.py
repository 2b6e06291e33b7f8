"""Fine-tuning end to end, straight from videos: what is checked before it, and the videos it may use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from tqdm import tqdm

from downstream.detector.model import check_detector
from downstream.detector.objective import check_objective
from downstream.evaluation.choose_videos import has_ground_truth, rehearse_evaluation
from downstream.features.config import SnippetSettings
from downstream.features.feature_spec import Grid, VideoEntry
from downstream.runs.run_folder import RunFolder
from downstream.training.config import FeaturesConfig, FinetuneConfig
from downstream.training.end_to_end.backbone import BackboneFacts
from downstream.training.end_to_end.video_bags import TrainingVideo
from downstream.training.end_to_end.video_training import VideoTraining, VideoTrainingPlan
from downstream.training.frame_labels import check_frame_labels, frame_counts
from downstream.training.self_training import (
    HeldOut,
    SnippetLabels,
    describe_labels,
    held_out_scores,
    suggested_labels,
)
from downstream.training.source import TrainingVideos
from downstream.training.split import split_training
from pretrain.data.bad_videos import BadVideos
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.check import without_quarantined
from pretrain.data.video import IndexCache, VideoError, VideoInfo, probe
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class VideoSource:
    """Videos that open, and a backbone that is there (`downstream.training.source.TrainingSource`)."""

    videos: TrainingVideos
    """Test videos with the unreadable ones: whoever scores them says so by name."""
    backbone: BackboneFacts
    plan: VideoTrainingPlan

    wants_one_thread = False

    @staticmethod
    def open(config: FinetuneConfig) -> VideoSource:
        """Open the lists, every video and the backbone, hold videos out. UserError for all that is wrong."""
        refuse_features(config.features)
        backbone = BackboneFacts.of(config.videos)
        check_objective(config.objective, backbone.grid)
        check_detector(config.detector, backbone.grid)
        held_out = snippet_labels_wanted(config, backbone.grid)
        catalogue = without_quarantined(open_catalogue(config.catalogue), config.videos.quarantine)
        index = (config.videos.cache or config.output.parent / "cache") / "index"
        test, teacher = catalogue.subset("test"), config.self_training.teacher
        if teacher is not None:
            RunFolder(teacher).refuse_seen_in_training(test)
        infos, unreadable = open_videos(list(catalogue), index)
        bad = BadVideos(len(catalogue), config.videos.max_bad_fraction, "videos")
        bad.note(unreadable)
        readable = catalogue.without(set(unreadable)).subset("train")
        train, validation = split_training(
            readable, config.validation_fraction, config.split_seed, config.validation_by
        )
        if config.score_test and has_ground_truth(test):
            there = [video for video in test if video.name in infos]
            rehearse_evaluation(snippets_of(there, infos, config.videos.snippet_frames), there, config.evaluation.tail)
        told = labels_of_snippets(config, held_out, train, validation, infos)
        plan = VideoTrainingPlan(
            videos=[
                TrainingVideo(v.name, v.path, int(v.label or 0), infos[v.name], None if told is None else told[v.name])
                for v in train
                if told is None or v.name in told
            ],
            settings=config.videos,
            detector=config.detector,
            objective=config.objective,
            steps=config.optim.steps,
            batch_size=config.optim.batch_size,
            normal_per_abnormal=config.bags.normal_per_abnormal,
            precision="bf16" if config.precision == "bf16" else "fp32",
            bad=bad,
            index=index,
        )
        plan.order(seed=0)  # classes that are missing are missing for every seed
        videos = TrainingVideos(
            train=train,
            validation=validation,
            test=test,
            left_out=tuple(sorted(unreadable)),
            taught_on=() if teacher is None else tuple(sorted(RunFolder(teacher).seen_in_training())),
        )
        return VideoSource(videos=videos, backbone=backbone, plan=plan)

    def describe(self) -> str:
        """The backbone; how many videos self-training has to leave out."""
        untold = len(self.videos.train) - len(self.plan.videos)
        note = f"; {untold} abnormal training video(s) left out, which the teacher had not held out" if untold else ""
        return f"{self.backbone.description}{note}"

    def describe_bags(self) -> str:
        """`8 snippets`."""
        return "one snippet" if self.plan.has_snippet_labels else f"{self.plan.settings.snippets} snippets"

    def fingerprint(self) -> dict[str, str]:
        """Videos are not hashed; labels of their snippets are, where they are learnt from."""
        if not self.plan.has_snippet_labels:
            return {}
        told = {video.name: video.snippet_labels for video in self.plan.videos if video.snippet_labels is not None}
        return {"labels of snippets": describe_labels(told)}

    def seed_training(self, seed: int, accelerator: Accelerator) -> VideoTraining:
        """Backbone and detector with the weights of the seed."""
        return VideoTraining(self.plan, seed, accelerator)


def snippet_labels_wanted(config: FinetuneConfig, grid: Grid | None) -> HeldOut:
    """What a teacher says, of self-training; else nothing. UserError where snippets are to have labels of their own, a
    ceiling's or a teacher's, and cannot be learnt from."""
    teacher = config.self_training.teacher
    if not config.ceiling and teacher is None:
        return {}
    what = "ceiling is on" if teacher is None else f"self_training.teacher is {teacher}"
    if grid is not None:
        raise UserError(
            f"{what}, and videos.grid is {config.videos.grid}: labels of snippets say when, not where. Leave one of "
            "the two out; a backbone that learnt so gives features of cells like any other, with --grid"
        )
    if config.detector.temporal != "none":
        raise UserError(
            f"{what}, and detector.temporal is {config.detector.temporal}: every snippet is learnt by itself, and what "
            "looks at its neighbours would first meet them when videos are scored. Set detector.temporal none"
        )
    return {} if teacher is None else held_out_scores(teacher)


def labels_of_snippets(
    config: FinetuneConfig,
    held_out: HeldOut,
    train: Catalogue,
    validation: Catalogue,
    infos: Mapping[str, VideoInfo],
) -> SnippetLabels | None:
    """Of the training videos, by a ceiling's spans or by a teacher; of the latter without those that it says nothing
    of. None: labels of videos are learnt from. UserError where they cannot be had."""
    if not config.ceiling and config.self_training.teacher is None:
        return None
    every = Catalogue([*train, *validation], train.source)
    entries = snippets_of(list(every), infos, config.videos.snippet_frames)
    if config.ceiling:
        check_frame_labels(entries, every, None)
        return {video.name: frame_counts(entries[video.name], video).shares() for video in train}
    return suggested_labels(config.self_training, held_out, train, entries)


def refuse_features(config: FeaturesConfig) -> None:
    """UserError where stored features are asked for, too."""
    if config.sets or config.normalise != "none" or config.pool_cells or config.allow_missing:
        raise UserError(
            "videos.backbone and features (sets, normalise, pool_cells, allow_missing) are both set; a detector learns "
            "from videos or from features: leave one of the two out"
        )


def snippets_of(videos: Sequence[Video], infos: Mapping[str, VideoInfo], snippet_frames: int) -> dict[str, VideoEntry]:
    """Which frames the snippets of each video will stand for."""
    settings = SnippetSettings(snippet_frames=snippet_frames)
    return {
        video.name: VideoEntry(
            name=video.name,
            offset=0,
            snippets=settings.count(infos[video.name].num_frames),
            frames=infos[video.name].num_frames,
            fps=None,
            snippet_frames=snippet_frames,
        )
        for video in videos
    }


def open_videos(videos: Sequence[Video], index: Path) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """What each video is, and what could not be opened and why."""
    index_cache = IndexCache(index)

    def open_one(video: Video) -> VideoInfo | str:
        try:
            info = video.measured or probe(video.path, cache=index_cache)
        except VideoError as error:
            return str(error)
        return info if info.num_frames else f"{video.path}: no frame decodes; leave it out"

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # probing leaves the interpreter lock alone
        opened = list(tqdm(pool.map(open_one, videos), "opening videos", len(videos), disable=None, unit="video"))
    pairs = [(video.name, result) for video, result in zip(videos, opened, strict=True)]
    infos = {name: result for name, result in pairs if not isinstance(result, str)}
    return infos, {name: result for name, result in pairs if isinstance(result, str)}
