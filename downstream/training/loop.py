"""Training one detector with one seed: the loop, its log, its states, and the scores at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from downstream.scores.map_file import write_maps
from downstream.scores.score_file import write_scores
from downstream.scores.video_scores import VideoScores
from downstream.training.checks import Prepared
from downstream.training.config import FinetuneConfig
from downstream.training.end_to_end.prepare_videos import PreparedVideos
from downstream.training.resume import seed_folder, write_inputs
from downstream.training.segments import Batch
from downstream.training.selection import held_out_figures
from pretrain.checkpoint import load_state, read_meta, save_state
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.run_folder import as_json
from pretrain.schedule import lr_at
from pretrain.seeding import seed_step
from pretrain.stopping import StopRequest
from pretrain.tracking import JsonLinesTracker, clock


class Road(Protocol):
    """Where bags come from, what is trained on them, and how whole videos are scored."""

    module: Any
    """Takes `batch.features, batch.mask, batch.labels, step`, gives the loss and its parts."""
    unreadable: Mapping[str, str]
    """Videos that turned out to be unreadable on the way, and why: they have no scores."""

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
            if self.best is not None and not (self.folder / "detector").is_dir():
                raise UserError(
                    f"{self.folder / 'detector'} is gone, and with it the detector that was selected at step "
                    f"{self.best['step']}: delete {self.folder} and run the same command again"
                )
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
        seed_step(self.seed, step, accelerator.process_index)
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
            "selected_on": sorted(video.name for video in self.videos.held_out),
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
            write_inputs(self.folder, self.videos)

    def _log(self, step: int, sums: dict[str, Tensor], count: int, seconds: float) -> None:
        means = {f"train/{key}": float(value) / count for key, value in sums.items()}
        values = means | {"speed/steps_per_second": count / seconds}
        self.accelerator.log(values, step=step)
        steps, rate = self.config.optim.steps, count / seconds
        held_out = f"  held-out video AUC {self.best['video_auc']:.3f} (step {self.best['step']})" if self.best else ""
        self.accelerator.print(
            f"seed {self.seed}  step {step:>{len(str(steps))}}/{steps}  loss {means['train/loss']:.4f}{held_out}  "
            f"{rate:{'.0f' if rate >= 10 else '.2g'}} steps/s  left {clock((steps - step) * seconds / count)}",
            flush=True,
        )

    def _finish(self) -> None:
        """Score with the selected detector: the held-out videos and, once, the test videos."""
        self.accelerator.wait_for_everyone()
        best = self.best or {}
        meta = {"seed": self.seed, "selected_step": best["step"], "threshold": best["threshold"]}
        parts = {"validation": self.videos.held_out, "test": self.videos.test}
        unscored: dict[str, dict[str, str]] = {}
        for name, videos in parts.items():
            if name == "validation" or (self.config.score_test and len(videos)):
                scored = self.road.score_saved(self.folder / "detector", videos)
                missing = {video.name for video in videos} - {item.name for item in scored}
                unscored[name] = {video: self.road.unreadable[video] for video in sorted(missing)}
                if self.accelerator.is_main_process:
                    meta_of_part = meta | {"unscored": unscored[name]}
                    write_scores(self.folder / f"{name}_scores.json", scored, meta_of_part)
                    if scored and all(item.map is not None for item in scored):
                        write_maps(self.folder / f"{name}_maps.safetensors", scored, meta_of_part)
        if not self.accelerator.is_main_process:
            return
        summary = {
            "seed": self.seed,
            "steps": self.config.optim.steps,
            "held_out": self.best,
            "detector": str(self.folder / "detector"),
            "without_features": self.videos.without_features,
            "unscored": unscored,
        }
        write_json(self.folder / "summary.json", summary)


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
