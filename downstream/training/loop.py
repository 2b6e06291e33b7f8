"""Training one detector with one seed: the loop, its log, its states, and the scores at its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from downstream.runs.run_folder import RunFolder
from downstream.runs.seed_folder import Part
from downstream.scores.supervision import KEY
from downstream.scores.video_scores import VideoScores
from downstream.training.config import DetectorOptimConfig, FinetuneConfig
from downstream.training.resume import inputs_of
from downstream.training.selection import Validation, validate, with_threshold_of
from downstream.training.source import Batch, SeedTraining, TrainingSource
from pretrain.checkpoint import load_state, read_meta, save_state
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.guards import find_not_finite, main_process_does
from pretrain.json_shapes import WrongShape, check, of_type
from pretrain.meter import Means
from pretrain.progress import RunProgress
from pretrain.run_folder import as_json
from pretrain.schedule import lr_at
from pretrain.seeding import seed_step
from pretrain.stopping import StopRequest
from pretrain.trackers import start_trackers, stop_trackers
from pretrain.tracking import JsonLinesTracker, clock


class SeedRun:
    """One process's side of one seed's run."""

    def __init__(
        self,
        config: FinetuneConfig,
        seed: int,
        source: TrainingSource,
        accelerator: Accelerator,
        stop: StopRequest,
        state: Path | None,
    ) -> None:
        self.config, self.seed, self.source = config, seed, source
        self.accelerator, self.stop = accelerator, stop
        self.run = RunFolder(config.output)
        self.folder = self.run.seed(seed)
        self.training: SeedTraining = source.seed_training(seed, accelerator)
        self.plain = self.training.model.to(accelerator.device)
        optimizer = make_optimizer(self.training.lr_shares(), config.optim)
        self.first_step = 0
        self.best: Validation | None = None
        if state is not None:
            load_state(state, self.plain, optimizer)
            self.first_step = read_meta(state)["step"]
            self.best = self._selected_before(read_meta(state)["best"])
        self.means = Means(None if state is None else read_meta(state).get("means"))
        self.model, self.optimizer = accelerator.prepare(self.plain, optimizer)
        self.progress = RunProgress(
            self.first_step,
            config.optim.steps,
            config.validate_every,
            show=accelerator.is_main_process,
            label=f"seed {seed}  ",
        )
        if state is not None and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(read_meta(state)["scaler"])

    def _selected_before(self, best: dict[str, Any] | None) -> Validation | None:
        """What had been selected when the state was saved; UserError where the detector itself is gone."""
        if best is None:
            return None
        try:
            check(best, of_type(Validation))
        except WrongShape as error:
            raise UserError(f"{self.folder.path} has a damaged training state ({error}); delete that folder") from None
        selected = Validation(**best)
        if not self.folder.detector.is_dir():
            raise UserError(
                f"{self.folder.detector} is gone, and with it the detector that was selected at step {selected.step}: "
                f"delete {self.folder.path} and run the same command again"
            )
        return selected

    def close(self) -> None:
        """No more lines, and no more values for trackers."""
        self.progress.close()
        stop_trackers(self.accelerator)

    def train(self) -> int:
        """The loop, top to bottom in the order of the screen."""
        config, steps = self.config, self.config.optim.steps
        self._start_log()
        self.progress.other_done()
        since, counted = time.perf_counter(), 0
        for step in range(self.first_step, steps):
            self.means.add(self._one_step(step))
            counted += 1
            done = step + 1
            self.progress.step_done(done)
            if done % config.log_every == 0 or done == steps:
                self._log(done, counted, time.perf_counter() - since)
                since, counted = time.perf_counter(), 0
            if done % config.validate_every == 0 or done == steps:
                self._validate(done)
                self.progress.validation_done()
            number = self.stop.agreed(self.accelerator)
            if done % config.save_every == 0 or done == steps or number:
                self._save(done)
                self.progress.other_done()
            if number and done < steps:
                self.progress.say(
                    f"stopped by {self.stop.name} after step {done} of seed {self.seed}: state saved; go on with "
                    "--resume"
                )
                return 128 + number
        self._finish()
        return 0

    def _one_step(self, step: int) -> dict[str, Tensor]:
        """Forward, backward, optimiser. Returns the loss and its parts, detached."""
        config, accelerator = self.config, self.accelerator
        seed_step(self.seed, step, accelerator.process_index)
        lr = lr_at(step, config.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        batch = self.training.batch(step)
        with accelerator.autocast():
            loss, parts = self.model(batch.inputs, batch.mask, batch.labels, step, **batch.more())
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(self.plain.parameters(), config.optim.clip_norm)
        self._stop_if_not_finite(step, loss, norm, parts, batch)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.training.after_step(step)
        return {"loss": loss.detach(), **parts}

    def _stop_if_not_finite(
        self, step: int, loss: Tensor, norm: Tensor, parts: dict[str, Tensor], batch: Batch
    ) -> None:
        """All processes stop before the optimiser moves when the loss (or, unscaled, a gradient) is not finite."""
        wrong = find_not_finite(self.accelerator, loss, norm, parts, batch.names)
        if wrong is None:
            return
        raise UserError(
            f"the loss is not finite at step {step + 1} of seed {self.seed} (terms: "
            f"{', '.join(wrong.parts) or 'only the gradient'}); no weight was changed by it. Videos of this step:\n"
            f"{problem_list(wrong.videos)}\nLower optim.lr, set features.normalise, or look at these videos with "
            "scripts/doctor.py"
        )

    def _validate(self, step: int) -> None:
        """Score the validation videos; keep the detector that tells them apart best."""
        videos = self.source.videos.validation
        now = validate(self.training.score(videos), videos, step, self.config.ceiling)
        self.accelerator.log({f"validation/{name}": value for name, value in now.metrics().items()}, step=step)
        if self.best is None or now.is_better_than(self.best) or self.config.select == "last":
            self.best = now
            main_process_does(self.accelerator, lambda: self.training.save(self.folder.detector, self._card(now)))

    def _card(self, selected: Validation) -> dict[str, Any]:
        """What the detector's card says beside the features that it takes."""
        videos = self.source.videos
        return {
            "selected": selected.as_json(),
            "seed": self.seed,
            "threshold": selected.threshold,
            KEY: self.config.supervision,
            "objective": self._objective(),
            "trained_on": sorted(video.name for video in videos.train),
            "selected_on": sorted(video.name for video in videos.validation),
        } | ({"taught_on": list(videos.taught_on)} if videos.taught_on else {})

    def _objective(self) -> dict[str, Any]:
        """The loss and its settings; where snippets have labels of their own, whose these are. No place of a run."""
        if self.config.ceiling:
            return {"objective.base": "frame_bce"}
        settings = self.config.self_training
        if settings.teacher is not None:
            return {"objective.base": "self_training", "share": settings.share, "doubtful": settings.doubtful}
        return {key: value for key, value in as_json(self.config).items() if key.startswith("objective.")}

    def _save(self, step: int) -> None:
        """The training state, by the main process; on failure every process stops."""
        scaler = self.accelerator.scaler
        extra = {
            "config": as_json(self.config),
            "best": None if self.best is None else self.best.as_json(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "means": self.means.so_far(self.accelerator),
        }
        inner = self.optimizer.optimizer  # Accelerate's wrapper holds the same optimiser
        states, keep = self.folder.checkpoints, self.config.keep_states
        main_process_does(self.accelerator, lambda: save_state(states, step, self.plain, inner, extra, keep))

    def _start_log(self) -> None:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self.accelerator.trackers = [JsonLinesTracker(self.folder.log, self.first_step)]
        main_process_does(self.accelerator, self._write_what_is_trained)

    def _write_what_is_trained(self) -> None:
        tracking, run = self.config.tracking, self.config.output.resolve().name
        name = f"{tracking.name or run}/{self.folder.path.name}"
        self.accelerator.trackers += start_trackers(
            replace(tracking, name=name), self.folder.path, as_json(self.config) | {"seed": self.seed}, self.first_step
        )
        self.run.write_config(self.config)
        self.folder.write_inputs(inputs_of(self.source))

    def _log(self, step: int, count: int, seconds: float) -> None:
        means = {f"train/{key}": value for key, value in self.means.take(self.accelerator).items()}
        values = means | {"speed/steps_per_second": count / seconds}
        self.accelerator.log(values, step=step)
        steps, rate = self.config.optim.steps, count / seconds
        validation = f"  {self.best}" if self.best else ""
        self.progress.say(
            f"seed {self.seed}  step {step:>{len(str(steps))}}/{steps}  loss {means['train/loss']:.4f}{validation}  "
            f"{rate:{'.0f' if rate >= 10 else '.2g'}} steps/s  left {clock((steps - step) * seconds / count)}"
        )

    def _finish(self) -> None:
        """Score with the selected detector: the validation videos and, once, the test videos."""
        self.accelerator.wait_for_everyone()
        assert self.best is not None
        videos = self.source.videos
        self._compose(self.best)
        validation = self.training.score_saved(self.folder.detector, videos.validation)
        self.best = with_threshold_of(self.best, validation, videos.validation)
        unscored = {"validation": self._write_scores("validation", videos.validation, validation, self.best)}
        if self.config.score_test and len(videos.test):
            test = self.training.score_saved(self.folder.detector, videos.test)
            unscored["test"] = self._write_scores("test", videos.test, test, self.best)
        if not self.accelerator.is_main_process:
            return
        self.folder.write_summary(
            {
                "seed": self.seed,
                "steps": self.config.optim.steps,
                "validation": self.best.as_json(),
                "detector": str(self.folder.detector),
                "without_features": list(videos.left_out),
                "unscored": unscored,
            }
        )

    def _compose(self, selected: Validation) -> None:
        """Let the selected detector compose its scores by what validation videos say; its threshold is of those."""
        videos, folder = self.source.videos.validation, self.folder.detector

        def details(scored: Sequence[VideoScores]) -> dict[str, Any]:
            return self._card(with_threshold_of(selected, scored, videos))

        main_process_does(self.accelerator, lambda: self.training.compose(folder, videos, details))

    def _write_scores(
        self, part: Part, videos: Catalogue, scored: Sequence[VideoScores], selected: Validation
    ) -> dict[str, str]:
        """Write down what the selected detector says of videos; those that could not be read, and why."""
        missing = {video.name for video in videos} - {video.name for video in scored}
        unscored = {name: self.training.unreadable[name] for name in sorted(missing)}
        if self.accelerator.is_main_process:
            meta = {"seed": self.seed, "selected_step": selected.step, "threshold": selected.threshold}
            told = {KEY: self.config.supervision, "unscored": unscored}
            self.folder.write_scores(part, scored, meta | told)
        return unscored


def make_optimizer(parts: Sequence[tuple[nn.Module, float]], config: DetectorOptimConfig) -> torch.optim.Optimizer:
    """The configured optimiser of these modules, each with its share of the learning rate as `lr_share` of its groups.

    No decay for vectors (biases, normalisation).
    """
    groups: list[dict[str, Any]] = []
    for module, share in parts:
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for decayed in (True, False):
            chosen = [parameter for parameter in trained if (parameter.ndim > 1) == decayed]
            decay = config.weight_decay if decayed else 0.0
            groups += [{"params": chosen, "weight_decay": decay, "lr_share": share}] if chosen else []
    kinds: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}
    optimizer: torch.optim.Optimizer = kinds[config.optimizer](groups, lr=config.lr)
    return optimizer
