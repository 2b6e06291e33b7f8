"""Fine-tuning a detector on features, from the command line to the scored test videos."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from downstream.config import FREE_TO_CHANGE, FinetuneConfig
from downstream.evaluation.evaluate import evaluate_seeds
from downstream.evaluation.metrics import roc_auc
from downstream.evaluation.output import write_all
from downstream.evaluation.scores import VideoScores, read_scores, write_scores
from downstream.evaluation.table import evaluation_table
from downstream.from_features import FromFeatures
from downstream.from_videos import FromVideos
from downstream.open_videos import PreparedVideos, prepare_videos
from downstream.prepare import Prepared, has_ground_truth, prepare
from downstream.score import video_score
from downstream.segments import Batch
from pretrain.accelerator import check_batch_size, check_device, make_accelerator
from pretrain.checkpoint import load_state, read_meta, save_state
from pretrain.cpu import keep_freed_memory
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.run_folder import as_json, state_to_resume
from pretrain.schedule import lr_at
from pretrain.stopping import StopRequest
from pretrain.tracking import JsonLinesTracker, clock


def finetune(config: FinetuneConfig) -> int:
    """Train a detector for each seed. Returns the exit status: 0 done, 128 + signal when stopped by one."""
    keep_freed_memory()
    check_device(config.device)
    prepared = prepare(config) if config.videos.backbone is None else prepare_videos(config)
    states = {
        seed: state_to_resume(config, seed_folder(config, seed), config.resume, FREE_TO_CHANGE) for seed in config.seeds
    }
    accelerator = make_accelerator(config.device, config.precision)
    check_batch_size(config.optim.batch_size, 1, accelerator)
    stop = StopRequest(accelerator.device)
    accelerator.print(describe(config, prepared, accelerator), flush=True)
    for seed in config.seeds:
        folder = seed_folder(config, seed)
        if not (config.resume and (folder / "summary.json").exists()):
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
    seeds = {str(seed): json.loads((seed_folder(config, seed) / "summary.json").read_text()) for seed in config.seeds}
    summary: dict[str, Any] = {"seeds": seeds}
    if config.score_test and has_ground_truth(prepared.test):
        scores = {seed: read_scores(config.output / f"seed-{seed}" / "test_scores.json").videos for seed in seeds}
        evaluation = evaluate_seeds(scores, prepared.test, config.evaluation, config.output.name)
        write_all(config.output / "evaluation", [evaluation], {}, prepared.test, plots=config.plots)
        summary["test"] = evaluation.as_json()
        print(evaluation_table(evaluation), f"\nplots and tables in {config.output / 'evaluation'}", sep="")
    elif config.score_test and len(prepared.test):
        print(
            "the test videos are scored, not evaluated: the catalogue does not say which of their frames are abnormal"
        )
    write_json(config.output / "summary.json", summary)


def make_road(config: FinetuneConfig, seed: int, prepared: Prepared | PreparedVideos, accelerator: Accelerator) -> Road:
    """From stored features, or from videos through a backbone."""
    if isinstance(prepared, PreparedVideos):
        return FromVideos(config, seed, prepared, accelerator)
    return FromFeatures(config, seed, prepared, accelerator)


def seed_folder(config: FinetuneConfig, seed: int) -> Path:
    """Folder of one seed's run."""
    return config.output / f"seed-{seed}"


def describe(config: FinetuneConfig, prepared: Prepared | PreparedVideos, accelerator: Accelerator) -> str:
    """What is trained on what, for the console."""
    if isinstance(prepared, PreparedVideos):
        what, length = prepared.backbone, f"{config.videos.snippets} snippets"
    else:
        source = prepared.source
        encoders = " + ".join(kind.encoder for kind in source.kinds)
        what = f"features of {encoders}, {source.dim} numbers, {source.crops} crop(s)"
        length = f"{config.bags.segments} segments"
    parts = (("training", prepared.train), ("held-out", prepared.held_out), ("test", prepared.test))
    counts = ", ".join(
        f"{len(part)} {name} ({sum(video.label == 1 for video in part)} abnormal)" for name, part in parts
    )
    without = f"; {len(prepared.without_features)} without features left out" if prepared.without_features else ""
    return (
        f"{what}; videos: {counts}{without}\n"
        f"{config.objective.base}, bags of {length}, {config.optim.batch_size} a step, "
        f"{accelerator.num_processes} process(es) on {accelerator.device.type}, {len(config.seeds)} seed(s)"
    )


class Road(Protocol):
    """Where bags come from, what is trained on them, and how whole videos are scored."""

    module: Any
    """Takes `batch.features, batch.mask, batch.labels, step`, gives the loss and its parts."""

    def batch(self, step: int) -> Batch: ...
    def score(self, videos: Catalogue) -> list[VideoScores]: ...
    def save(self, folder: Path, details: Mapping[str, Any]) -> None: ...
    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]: ...


class SeedRun:
    """One process's side of one seed's run."""

    def __init__(
        self,
        config: FinetuneConfig,
        seed: int,
        prepared: Prepared | PreparedVideos,
        road: Road,
        accelerator: Accelerator,
        stop: StopRequest,
        state: Path | None,
    ) -> None:
        self.config, self.seed, self.videos, self.road = config, seed, prepared, road
        self.accelerator, self.stop = accelerator, stop
        self.folder = seed_folder(config, seed)
        self.plain = road.module.to(accelerator.device)
        optimizer = make_optimizer(self.plain, config)
        self.first_step = 0
        self.best: dict[str, Any] | None = None
        if state is not None:
            load_state(state, self.plain, optimizer)
            self.first_step, self.best = read_meta(state)["step"], read_meta(state)["best"]
        self.model, self.optimizer = accelerator.prepare(self.plain, optimizer)
        if state is not None and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(read_meta(state)["scaler"])

    def train(self) -> int:
        """The loop, top to bottom in the order of the screen."""
        config, steps = self.config, self.config.optim.steps
        self._start_log()
        sums: dict[str, Tensor] = {}
        since, counted = time.perf_counter(), 0
        for step in range(self.first_step, steps):
            for key, value in self._one_step(step).items():
                sums[key] = sums.get(key, torch.zeros_like(value)) + value
            counted += 1
            done = step + 1
            if done % config.log_every == 0 or done == steps:
                self._log(done, sums, counted, time.perf_counter() - since)
                sums, since, counted = {}, time.perf_counter(), 0
            if done % config.validate_every == 0 or done == steps:
                self._validate(done)
            number = self.stop.agreed(self.accelerator)
            if done % config.save_every == 0 or done == steps or number:
                self._save(done)
            if number and done < steps:
                self.accelerator.print(
                    f"stopped by {self.stop.name} after step {done} of seed {self.seed}: state saved; go on with "
                    "--resume",
                    flush=True,
                )
                return 128 + number
        self._finish()
        return 0

    def _one_step(self, step: int) -> dict[str, Tensor]:
        """Forward, backward, optimiser. Returns the loss and its parts, detached."""
        config, accelerator = self.config, self.accelerator
        # dropout draws from the global generator: a function of seed, step and process, like all else
        state = np.random.SeedSequence([self.seed, step, accelerator.process_index]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        lr = lr_at(
            step,
            peak=config.optim.lr,
            warmup_steps=config.optim.warmup_steps,
            total_steps=config.optim.steps,
            final_share=config.optim.final_lr_share,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        batch = self.road.batch(step)
        with accelerator.autocast():
            loss, parts = self.model(batch.features, batch.mask, batch.labels, step)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(self.plain.parameters(), config.optim.clip_norm)
        self._stop_if_not_finite(step, loss, norm, parts, batch)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.plain.update_teacher(step)
        return {"loss": loss.detach(), **parts}

    def _stop_if_not_finite(
        self, step: int, loss: Tensor, norm: Tensor, parts: dict[str, Tensor], batch: Batch
    ) -> None:
        """All processes stop before the optimiser moves when the loss (or, unscaled, a gradient) is not finite."""
        bad = ~torch.isfinite(loss.detach())
        if self.config.precision != "fp16":  # the scaler of fp16 meets infinite gradients as a matter of course
            bad = bad | ~torch.isfinite(norm)
        if not bool(self.accelerator.reduce(bad.float(), "sum") > 0):
            return
        terms = [key for key, value in parts.items() if not bool(torch.isfinite(value))]
        videos = sorted({name for names in gather_object([batch.names]) for name in names})
        raise UserError(
            f"the loss is not finite at step {step + 1} of seed {self.seed} (terms: "
            f"{', '.join(terms) or 'only the gradient'}); no weight was changed by it. Videos of this step:\n"
            f"{problem_list(videos)}\nLower optim.lr, set features.normalise, or look at these videos with "
            "scripts/doctor.py"
        )

    def _validate(self, step: int) -> None:
        """Score the held-out videos; keep the detector that tells them apart best."""
        scored = self.road.score(self.videos.held_out)
        found = held_out_figures(scored, self.videos.held_out)
        self.accelerator.log({f"held_out/{key}": value for key, value in found.items()}, step=step)
        better = self.best is None or (found["video_auc"], -found["loss"]) > (
            self.best["video_auc"],
            -self.best["loss"],
        )
        if better or self.config.select == "last":
            self.best = found | {"step": step}
            if self.accelerator.is_main_process:
                self._save_detector()

    def _save_detector(self) -> None:
        details = {
            "selected": self.best,
            "seed": self.seed,
            "threshold": (self.best or {})["threshold"],
            "objective": {key: value for key, value in as_json(self.config).items() if key.startswith("objective.")},
            "trained_on": sorted(video.name for video in self.videos.train),
        }
        self.road.save(self.folder / "detector", details)

    def _save(self, step: int) -> None:
        """The training state, by the main process; on failure every process stops."""
        problem = [""]
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            extra = {
                "config": as_json(self.config),
                "best": self.best,
                "scaler": None if scaler is None else scaler.state_dict(),
            }
            try:
                inner = self.optimizer.optimizer  # Accelerate's wrapper holds the same optimiser
                save_state(self.folder / "checkpoints", step, self.plain, inner, extra, self.config.keep_states)
            except (UserError, OSError) as error:
                problem = [str(error)]
        problem = [text for text in gather_object(problem) if text]
        if problem:
            raise UserError(problem[0])

    def _start_log(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.accelerator.trackers = [JsonLinesTracker(self.folder / "log.jsonl", self.first_step)]
        if self.accelerator.is_main_process:
            write_json(self.config.output / "config.json", as_json(self.config))

    def _log(self, step: int, sums: dict[str, Tensor], count: int, seconds: float) -> None:
        means = {f"train/{key}": float(value) / count for key, value in sums.items()}
        values = means | {"speed/steps_per_second": count / seconds}
        self.accelerator.log(values, step=step)
        steps = self.config.optim.steps
        held_out = f"  held-out video AUC {self.best['video_auc']:.3f} (step {self.best['step']})" if self.best else ""
        self.accelerator.print(
            f"seed {self.seed}  step {step:>{len(str(steps))}}/{steps}  loss {means['train/loss']:.4f}{held_out}  "
            f"{count / seconds:.0f} steps/s  left {clock((steps - step) * seconds / count)}",
            flush=True,
        )

    def _finish(self) -> None:
        """Score with the selected detector: the held-out videos and, once, the test videos."""
        self.accelerator.wait_for_everyone()
        best = self.best or {}
        meta = {"seed": self.seed, "selected_step": best["step"], "threshold": best["threshold"]}
        parts = {"validation": self.videos.held_out, "test": self.videos.test}
        for name, videos in parts.items():
            if name == "validation" or (self.config.score_test and len(videos)):
                scored = self.road.score_saved(self.folder / "detector", videos)
                if self.accelerator.is_main_process:
                    write_scores(self.folder / f"{name}_scores.json", scored, meta)
        if not self.accelerator.is_main_process:
            return
        summary = {
            "seed": self.seed,
            "steps": self.config.optim.steps,
            "held_out": self.best,
            "detector": str(self.folder / "detector"),
            "without_features": self.videos.without_features,
        }
        write_json(self.folder / "summary.json", summary)


def held_out_figures(scored: Sequence[VideoScores], videos: Catalogue) -> dict[str, float]:
    """Video-level AUC, cross-entropy of the video scores, and the threshold that parts the classes best (Youden 1950).

    Frames of training videos have no labels, so a detector is selected by what is known: the video's.
    """
    scores = np.array([video_score(item.scores) for item in scored])
    labels = np.array([videos.by_name(item.name).label for item in scored], np.int64)
    safe = np.clip(scores, 1e-6, 1 - 1e-6)
    loss = -(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)).mean()
    cuts = np.unique(scores)
    hits = [((scores >= cut) * labels).sum() / labels.sum() for cut in cuts]
    alarms = [((scores >= cut) * (1 - labels)).sum() / (1 - labels).sum() for cut in cuts]
    best = int(np.argmax(np.array(hits) - np.array(alarms)))
    below = cuts[best - 1] if best else 0.0
    return {
        "video_auc": float(roc_auc(scores, labels, 1 - labels)),
        "loss": float(loss),
        "threshold": float((cuts[best] + below) / 2),
    }


def make_optimizer(model: torch.nn.Module, config: FinetuneConfig) -> torch.optim.Optimizer:
    """The configured optimiser; no decay for vectors (biases, normalisation), smaller steps for a backbone."""
    groups: list[dict[str, Any]] = []
    for in_backbone, share in ((False, 1.0), (True, config.videos.backbone_lr_share)):
        trained = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and name.startswith("backbone.") == in_backbone
        ]
        for decayed in (True, False):
            chosen = [parameter for parameter in trained if (parameter.ndim > 1) == decayed]
            decay = config.optim.weight_decay if decayed else 0.0
            groups += [{"params": chosen, "weight_decay": decay, "lr_share": share}] if chosen else []
    kinds: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}
    optimizer: torch.optim.Optimizer = kinds[config.optim.optimizer](groups, lr=config.optim.lr)
    return optimizer
