"""Fine-tuning, from a configuration to the evaluated test videos: checks, a run for each seed, the report."""

from __future__ import annotations

import dataclasses
import os
from contextlib import closing, nullcontext

from accelerate import Accelerator

from downstream.evaluation.choose_videos import missing_ground_truth
from downstream.references.of_features import reference_names, write_feature_references
from downstream.runs.run_folder import RunFolder
from downstream.scores.supervision import CEILING
from downstream.training.config import MAX_SEED, FinetuneConfig
from downstream.training.end_to_end.video_source import VideoSource
from downstream.training.feature_source import FeatureSource
from downstream.training.loop import SeedRun
from downstream.training.resume import refuse_other_inputs, states_to_resume
from downstream.training.run_summary import summarise
from downstream.training.source import TrainingSource, TrainingVideos
from pretrain.accelerator import check_batch_size, check_device, make_accelerator
from pretrain.cpu import keep_freed_memory, one_thread
from pretrain.environment import precision_of
from pretrain.errors import UserError
from pretrain.guards import alone_in
from pretrain.stopping import StopRequest
from pretrain.trackers import check_trackers


def finetune(config: FinetuneConfig, *, beside_others: bool = False) -> int:
    """Train a detector for each seed. Returns the exit status: 0 done, 128 + signal when stopped by one.

    `beside_others`: whoever called holds the lock of the run's folder, and lets others train other seeds in it.
    """
    keep_freed_memory()
    precision = precision_of(config.precision, os.environ)
    check_device(config.device, precision)
    check_trackers(config.tracking)
    config = dataclasses.replace(config, precision=precision)
    source: TrainingSource = FeatureSource.open(config) if config.videos.backbone is None else VideoSource.open(config)
    states_to_resume(config)  # what is wrong with the folder is said before anything else starts
    sources = {seed: source_of(config, seed, source) for seed in config.seeds}
    accelerator = make_accelerator(config.device, precision)
    check_batch_size(config.optim.batch_size, 1, accelerator)
    with nullcontext() if beside_others else alone_in(config.output, accelerator):
        return train_seeds(config, source, sources, accelerator)


def train_seeds(
    config: FinetuneConfig, source: TrainingSource, sources: dict[int, TrainingSource], accelerator: Accelerator
) -> int:
    """The runs, one seed after another, and what they come to together. Returns the exit status."""
    run, states = RunFolder(config.output), states_to_resume(config)
    for seed in config.seeds if config.resume else ():
        refuse_other_inputs(run.seed(seed), sources[seed])
    stop = StopRequest(accelerator.device)
    accelerator.print(describe(config, source, accelerator), flush=True)
    one_thread_each = accelerator.device.type == "cpu" and source.wants_one_thread
    for seed in config.seeds:
        folder = run.seed(seed)
        if not (config.resume and folder.is_done):
            with (
                alone_in(folder.path, accelerator),
                one_thread() if one_thread_each else nullcontext(),
                closing(SeedRun(config, seed, sources[seed], accelerator, stop, states[seed])) as seed_run,
            ):
                status = seed_run.train()
            if status:
                return status
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        keep_references(config, run, source)
        summarise(config, run, source.videos.test)
    return 0


def source_of(config: FinetuneConfig, seed: int, source: TrainingSource) -> TrainingSource:
    """What one seed is trained on: the same for all of them, or with other videos held out."""
    if not config.rotate_validation:
        return source
    if not isinstance(source, FeatureSource) or source.features.grid is not None:
        raise UserError(
            "rotate_validation is on, but the run is of cells or straight from videos: their detectors are compared on "
            "one validation part; leave it out"
        )
    own = dataclasses.replace(config, split_seed=(config.split_seed + seed) % MAX_SEED)
    return FeatureSource.of_features(source.features, own)


def keep_references(config: FinetuneConfig, run: RunFolder, source: TrainingSource) -> None:
    """Score the test videos by what needs no learning, where stored features allow it and it was not done before."""
    wanted = config.references and config.score_test and len(source.videos.test)
    if isinstance(source, FeatureSource) and wanted and not run.has_references(reference_names(source.features)):
        videos = source.videos
        test = videos.test.without(set(videos.left_out))
        write_feature_references([run], source.features, [*videos.train, *videos.validation], list(test))


def describe(config: FinetuneConfig, source: TrainingSource, accelerator: Accelerator) -> str:
    """What is trained on what, for the console."""
    videos, loss = source.videos, str(config.objective.base)
    if config.ceiling:
        loss = f"{CEILING[1:-1]}, no weakly supervised figure; cross-entropy of every segment, objective.* unused"
    untold = missing_ground_truth(videos.test) if config.score_test and len(videos.test) else ""
    if config.self_training.teacher is not None:
        loss = (
            f"labels of snippets by {config.self_training.teacher}; cross-entropy of every snippet, objective.* unused"
        )
    note = f"\nthe test videos will be scored, not evaluated: {untold}" if untold else ""
    return (
        f"{source.describe()}; videos: {describe_videos(videos)}\n"
        f"{loss}, bags of {source.describe_bags()}, {config.optim.batch_size} a step, "
        f"{accelerator.num_processes} process(es) on {accelerator.device.type}, {len(config.seeds)} seed(s){note}"
    )


def describe_videos(videos: TrainingVideos) -> str:
    """How many are for what."""
    test = videos.test.without(set(videos.left_out))
    parts = (("training", videos.train), ("validation", videos.validation), ("test", test))
    counts = ", ".join(
        f"{len(part)} {name} ({sum(video.label == 1 for video in part)} abnormal)" for name, part in parts
    )
    return f"{counts}; {len(videos.left_out)} without features left out" if videos.left_out else counts
