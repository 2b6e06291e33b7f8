"""Fine-tuning, from a configuration to the evaluated test videos: checks, a run for each seed, the report."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from accelerate import Accelerator

from downstream.evaluation.output import write_evaluation
from downstream.evaluation.tables import SUMMARY, evaluation_table
from downstream.evaluation.temporal_evaluation import evaluate_seeds
from downstream.scores.score_file import read_scores, unscored_in
from downstream.training.checks import Prepared, has_ground_truth, missing_ground_truth, prepare
from downstream.training.config import FinetuneConfig
from downstream.training.end_to_end.prepare_videos import PreparedVideos, prepare_videos
from downstream.training.end_to_end.video_source import FromVideos
from downstream.training.feature_source import FromFeatures
from downstream.training.loop import Road, SeedRun
from downstream.training.resume import alone_in, read_saved, refuse_other_inputs, seed_folder, states_to_resume
from downstream.visualisation.plots import write_plots
from pretrain.accelerator import check_batch_size, check_device, make_accelerator
from pretrain.cpu import keep_freed_memory, one_thread
from pretrain.errors import problem_list
from pretrain.files import write_json
from pretrain.stopping import StopRequest


def finetune(config: FinetuneConfig) -> int:
    """Train a detector for each seed. Returns the exit status: 0 done, 128 + signal when stopped by one."""
    keep_freed_memory()
    check_device(config.device)
    prepared = prepare(config) if config.videos.backbone is None else prepare_videos(config)
    states = states_to_resume(config)
    for seed in config.seeds if config.resume else ():
        refuse_other_inputs(seed_folder(config, seed), prepared)
    accelerator = make_accelerator(config.device, config.precision)
    check_batch_size(config.optim.batch_size, 1, accelerator)
    stop = StopRequest(accelerator.device)
    accelerator.print(describe(config, prepared, accelerator), flush=True)
    is_small = accelerator.device.type == "cpu" and isinstance(prepared, Prepared)
    for seed in config.seeds:
        folder = seed_folder(config, seed)
        if not (config.resume and (folder / "summary.json").exists()):
            with alone_in(folder, accelerator), one_thread() if is_small else nullcontext():
                road = make_road(config, seed, prepared, accelerator)
                status = SeedRun(config, seed, prepared, road, accelerator, stop, states[seed]).train()
            if status:
                return status
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        report(config, prepared)
    return 0


def report(config: FinetuneConfig, prepared: Prepared | PreparedVideos) -> None:
    """Evaluate the test scores of all seeds, write the summary, and say where everything lies."""
    seeds = {str(seed): read_saved(seed_folder(config, seed) / "summary.json") for seed in config.seeds}
    summary: dict[str, Any] = {"seeds": seeds}
    files = {}
    if config.score_test and len(prepared.test):
        files = {seed: read_scores(config.output / f"seed-{seed}" / "test_scores.json") for seed in seeds}
    unscored = unscored_in(files.values())
    if unscored:
        summary["unscored"] = unscored
        reasons = problem_list(list(unscored.values()))
        print(f"{len(unscored)} test video(s) could not be read and have no scores:\n{reasons}")
    if files and has_ground_truth(prepared.test.without(set(unscored))):
        scores = {seed: file.videos for seed, file in files.items()}
        evaluation = evaluate_seeds(scores, prepared.test, config.evaluation, config.output.name, unscored)
        write_evaluation(config.output / "evaluation", [evaluation], {}, prepared.test)
        if config.plots:
            write_plots([evaluation], config.output / "evaluation")
        summary["test"] = evaluation.as_json()
        print(evaluation_table(evaluation, SUMMARY), f"all figures and plots: {config.output / 'evaluation'}", sep="\n")
    elif files:
        print(f"the test videos are scored, not evaluated: {missing_ground_truth(prepared.test)}")
    write_json(config.output / "summary.json", summary)


def make_road(config: FinetuneConfig, seed: int, prepared: Prepared | PreparedVideos, accelerator: Accelerator) -> Road:
    """From stored features, or from videos through a backbone."""
    if isinstance(prepared, PreparedVideos):
        return FromVideos(config, seed, prepared, accelerator)
    return FromFeatures(config, seed, prepared, accelerator)


def describe(config: FinetuneConfig, prepared: Prepared | PreparedVideos, accelerator: Accelerator) -> str:
    """What is trained on what, for the console."""
    if isinstance(prepared, PreparedVideos):
        what, length = prepared.backbone, f"{config.videos.snippets} snippets"
    else:
        source = prepared.source
        grid = source.grid
        places = f"{source.places} crop(s)" if grid is None else f"{grid[0]}x{grid[1]} cells"
        encoders = " + ".join(kind.encoder for kind in source.kinds)
        what = f"features of {encoders}, {source.dim} numbers, {places}"
        length = f"{config.bags.segments} segments"
    parts = (("training", prepared.train), ("held-out", prepared.held_out), ("test", prepared.test))
    counts = ", ".join(
        f"{len(part)} {name} ({sum(video.label == 1 for video in part)} abnormal)" for name, part in parts
    )
    untold = missing_ground_truth(prepared.test) if config.score_test and len(prepared.test) else ""
    note = f"\nthe test videos will be scored, not evaluated: {untold}" if untold else ""
    without = f"; {len(prepared.without_features)} without features left out" if prepared.without_features else ""
    return (
        f"{what}; videos: {counts}{without}\n"
        f"{config.objective.base}, bags of {length}, {config.optim.batch_size} a step, "
        f"{accelerator.num_processes} process(es) on {accelerator.device.type}, {len(config.seeds)} seed(s){note}"
    )
