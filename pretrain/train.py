"""The pretraining run, from its configuration to the exported weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from torch import Tensor

from pretrain.accelerator import check_batch_size, check_device, make_accelerator
from pretrain.backbones import build_backbone, save_backbone
from pretrain.checkpoint import load_state, read_meta, save_state
from pretrain.config import FREE_TO_CHANGE, PretrainConfig
from pretrain.cpu import keep_freed_memory
from pretrain.data.bad_videos import BadVideos, quarantine_lines
from pretrain.data.loading import load_batches
from pretrain.data.transforms import ClipTransform, MapTransform
from pretrain.data.windows import Batch, Share, TrainWindows, ValidationWindows
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json, write_text
from pretrain.frozen import frozen_words, kept_maps
from pretrain.guards import alone_in, find_not_finite, main_process_does
from pretrain.intervals import Accuracy, as_dicts
from pretrain.meter import Meter
from pretrain.model import PretextModel, objective
from pretrain.prepare import Split, clip_geometry, enlarged, prepare_videos, split_catalogue, window_reader
from pretrain.run_folder import as_json, refuse_run_of_another_kind, state_to_resume
from pretrain.schedule import lr_at
from pretrain.seeding import seed_step
from pretrain.stopping import StopRequest
from pretrain.tracking import JsonLinesTracker, clock, plot_curves, progress_line, validation_table
from pretrain.validate import device_clips, validation_accuracy

CLIP_NORM = 1.0
"""Greatest norm of the gradient."""


def pretrain(config: PretrainConfig) -> int:
    """Run (or go on with) a pretraining run. Returns the exit status: 0 done, 128 + signal when stopped by one."""
    keep_freed_memory()
    check_device(config.device, config.precision, config.optim.accumulate)
    state_of(config)  # what is wrong with it is said before anything else starts
    torch.manual_seed(config.seed)
    backbone = build_backbone(config.backbone)
    clip_geometry(config, backbone.spec)
    split = split_catalogue(config)
    accelerator = make_accelerator(config.device, config.precision)
    check_batch_size(config.optim.batch_size, config.optim.accumulate, accelerator)
    with alone_in(config.output, accelerator):
        model = PretextModel(backbone, config.tasks, on_maps=config.keeps_maps)
        run = Run(config, accelerator, model, split, state_of(config))
        status = run.train()
    accelerator.end_training()
    return status


def state_of(config: PretrainConfig) -> Path | None:
    """The training state to go on from; None for a fresh start. UserError: the folder holds another run."""
    refuse_run_of_another_kind(config, config.output)
    return state_to_resume(config, config.output, config.resume, FREE_TO_CHANGE)


class Run:
    """One process's side of a run: what is built once, and the loop."""

    def __init__(
        self, config: PretrainConfig, accelerator: Accelerator, model: PretextModel, split: Split, state: Path | None
    ) -> None:
        self.config, self.accelerator, self.tasks = config, accelerator, config.tasks
        spec = model.backbone.spec
        reader = window_reader(config, spec)
        self.videos = prepare_videos(
            config,
            reader.geometry.window_frames,
            accelerator.process_index,
            accelerator.num_processes,
            accelerator.wait_for_everyone,
            split,
        )
        share = Share(
            batch_size=config.optim.batch_size,
            accumulate=config.optim.accumulate,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        model = model.to(accelerator.device)
        self.transform: ClipTransform | MapTransform = ClipTransform(spec.clip).to(accelerator.device)
        if config.keeps_maps:
            reader, self.videos = kept_maps(config, model.backbone, reader, self.videos, accelerator)
            self.transform = MapTransform()
        self.windows = TrainWindows(self.videos.train, reader, config.augmentation, share, config.seed)
        self.validation = ValidationWindows(self.videos.validation, reader, config.validation_windows, config.seed)
        for parameter in model.parameters():
            if parameter.ndim == 5:  # 3D convolutions are faster so, on CPU and GPU; 2D ones refuse the format
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        if accelerator.distributed_type == DistributedType.MULTI_GPU:
            # batch statistics over all processes; networks without batch normalisation are left as they are
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        optimizer = make_optimizer(model, config)
        self.first_step = 0
        before: dict[str, Any] = {}
        if state is not None:
            load_state(state, model, optimizer)
            before = read_meta(state)
            self.first_step = before["step"]
        self.accuracies = {task: Accuracy(**entry) for task, entry in before.get("validation", {}).items()}
        steps, clips = config.optim.steps, config.optim.batch_size * self.tasks.clips_per_window
        self.meter = Meter(steps, clips, before.get("means"))
        starts = gather_object([self.first_step])
        if len(set(starts)) > 1:
            raise UserError(
                f"the processes would start from different steps ({starts}): {config.output} must lie on a file system "
                "that all machines share"
            )
        if config.compile:
            model.backbone.compile()
        self.plain = model
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        if state is not None and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(read_meta(state)["scaler"])
        self.say = accelerator.print
        self.stop = StopRequest(accelerator.device)
        total = len(self.videos.train) + len(self.videos.unreadable)
        self.bad = BadVideos(total, config.data.max_bad_fraction, "data")
        self.bad.reasons.update(self.videos.unreadable)

    def train(self) -> int:
        """The loop, top to bottom in the order of the screen."""
        config, steps = self.config, self.config.optim.steps
        self._start_log()
        batches = load_batches(
            self.windows,
            self.windows.keys(self.first_step, steps),
            config.data.workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        meter = self.meter
        meter.begin()
        self.plain.train()
        for step in range(self.first_step, steps):
            lr, norm = self._one_step(step, batches, meter)
            done = step + 1
            if done % config.log_every == 0 or done == steps:
                values = meter.values(done, self.accelerator) | {"train/lr": lr, "train/gradient_norm": float(norm)}
                self.accelerator.log(values, step=done)
                self.say(progress_line(values, list(self.tasks.enabled()), done, steps), flush=True)
            if done % config.validate_every == 0 or done == steps:
                self.accuracies = self._validate(done)
                meter.resume()
            signal_number = self.stop.agreed(self.accelerator)
            if done % config.save_every == 0 or done == steps or signal_number:
                self._save(done)
                meter.resume()
            if signal_number and done < steps:
                self.say(f"stopped by {self.stop.name} after step {done}: state saved; go on with --resume", flush=True)
                return 128 + signal_number
        if self.first_step >= steps:  # resumed after the last step: only the end is left to do
            self.accuracies = self.accuracies or self._validate(steps)
            self._save(steps)
        self._finish()
        return 0

    def _one_step(self, step: int, batches: Any, meter: Meter) -> tuple[float, Tensor]:
        """Forward and backward over the step's rounds, then the optimiser. Returns learning rate and gradient norm."""
        config, accelerator = self.config, self.accelerator
        seed_step(config.seed, step, accelerator.process_index)
        lr = lr_at(step, config.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        rounds = config.optim.accumulate
        names: list[str] = []
        step_parts: dict[str, Tensor] = {}
        for part in range(rounds):
            waited = time.perf_counter()
            batch = next(batches)
            meter.data_seconds += time.perf_counter() - waited
            self._note_bad(batch)
            names += batch.names
            loss, parts = self._forward(batch, last=part == rounds - 1)
            for key, value in (parts | {"loss": loss.detach()}).items():
                step_parts[key] = step_parts.get(key, torch.zeros_like(value)) + value / rounds
        norm = accelerator.clip_grad_norm_(self.plain.parameters(), CLIP_NORM)
        self._stop_if_not_finite(step, step_parts, norm, names)
        self.optimizer.step()
        self.optimizer.zero_grad()
        meter.add(step_parts)
        return lr, norm

    def _forward(self, batch: Batch, last: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one round, already sent backward; gradients travel between processes in the last round only."""
        device = self.accelerator.device
        clips = device_clips(batch, self.transform, device)
        sync = torch.enable_grad() if last else self.accelerator.no_sync(self.model)
        with sync:
            with self.accelerator.autocast():
                outputs = self.model(clips)
            loss, parts = objective(
                self.tasks,
                outputs,
                batch.labels.to(device, non_blocking=True),
                batch.valid.to(device, non_blocking=True),
            )
            self.accelerator.backward(loss / self.config.optim.accumulate)
        return loss, parts

    def _stop_if_not_finite(self, step: int, parts: dict[str, Tensor], norm: Tensor, names: list[str]) -> None:
        """All processes stop before the optimiser moves when a loss (or, unscaled, a gradient) is not finite."""
        wrong = find_not_finite(self.accelerator, parts["loss"], norm, parts, names)
        if wrong is None:
            return
        tasks = dict.fromkeys(part.split("/")[0] for part in wrong.parts)
        raise UserError(
            f"the loss is not finite at step {step + 1} (tasks: {', '.join(tasks) or 'only the gradient'}); no weight "
            f"was changed by it. Videos of this step:\n{problem_list(wrong.videos)}\nThe last training state is good: "
            "lower optim.lr or raise optim.warmup_steps and start again, or check these videos with "
            "scripts/check_videos.py"
        )

    def _note_bad(self, batch: Batch) -> None:
        """Name a video that failed to decode when it is first met; past the limit the run stops."""
        self.bad.note(batch.problems)

    def _start_log(self) -> None:
        run, videos = self.config.output, self.videos
        run.mkdir(parents=True, exist_ok=True)
        tracker = JsonLinesTracker(run / "log.jsonl", self.first_step)
        self.accelerator.trackers = [tracker, *tensorboard_tracker(run, self.accelerator, self.first_step)]
        if self.accelerator.is_main_process:
            write_json(run / "config.json", as_json(self.config))
            write_json(
                run / "videos.json",
                {
                    "train": [source.name for source in videos.train],
                    "validation": [source.name for source in videos.validation],
                    "skipped_short": videos.skipped_short,
                    "unreadable": videos.unreadable,
                },
            )
        geometry = self.windows.reader.geometry
        spec = self.plain.backbone.spec
        self.say(
            f"{spec.name}: {sum(p.numel() for p in self.plain.backbone.parameters()):,} weights, clips of "
            f"{spec.clip.frames} frames at stride {spec.clip.stride}, {spec.clip.height}x{spec.clip.width} pixels, "
            f"windows of {geometry.window_frames} frames; tasks: {', '.join(self.tasks.enabled())}\n"
            f"{len(videos.train)} training and {len(videos.validation)} validation videos; {len(videos.skipped_short)} "
            f"too short, {len(videos.unreadable)} unreadable, {videos.quarantined} quarantined (all named in "
            f"{run / 'videos.json'})\n"
            f"{frozen_words(self.config, self.plain.backbone, self.windows.reader)}"
            f"{enlarged(self.config, self.windows.reader, videos.train)}"
            f"{self.accelerator.num_processes} process(es) on {self.accelerator.device.type}, precision "
            f"{self.config.precision}, from step {self.first_step} to {self.config.optim.steps}"
        )

    def _validate(self, step: int) -> dict[str, Accuracy]:
        accuracies = validation_accuracy(
            self.plain,
            self.transform,
            self.validation,
            self.accelerator,
            self.config.data.workers,
            self._note_bad,
        )
        flat = {
            f"validation/{task}/{key}": value
            for task, entry in accuracies.items()
            for key, value in entry.as_dict().items()
            if key in ("accuracy", "ci_low", "ci_high")
        }
        self.accelerator.log(flat, step=step)
        self.say(f"validation accuracy after step {step}\n{validation_table(as_dicts(accuracies))}", flush=True)
        return accuracies

    def _save(self, step: int) -> None:
        """The training state and the backbone, by the main process; on failure every process stops."""
        means = self.meter.means.so_far(self.accelerator)

        def save() -> None:
            scaler = self.accelerator.scaler
            extra = {
                "config": as_json(self.config),
                "scaler": None if scaler is None else scaler.state_dict(),
                "means": means,
                "validation": as_dicts(self.accuracies),
            }
            inner = self.optimizer.optimizer  # Accelerate's wrapper holds the same optimiser
            save_state(self.config.output / "checkpoints", step, self.plain, inner, extra, self.config.keep_states)
            save_backbone(self.plain.backbone, self.config.output / "backbone", self._card(step))
            self._save_bad_videos()

        main_process_does(self.accelerator, save)

    def _card(self, step: int) -> dict[str, Any]:
        return {
            "tasks": {
                name: {key: value for key, value in as_json(self.config).items() if key.startswith(f"tasks.{name}.")}
                for name in self.tasks.enabled()
            },
            "data": {
                "catalogue": self.config.catalogue.kind,
                "training_videos": len(self.videos.train),
                "validation_videos": len(self.videos.validation),
                "window_frames": self.windows.reader.geometry.window_frames,
                "border_crop": list(self.config.data.border_crop),
            },
            "steps": step,
            "validation_accuracy": as_dicts(self.accuracies),
        }

    def _save_bad_videos(self) -> None:
        """Bad videos of this run in the form that `data.quarantine` takes."""
        if self.bad.reasons:
            write_text(self.config.output / "quarantine.txt", quarantine_lines(self.bad.reasons))

    def _finish(self) -> None:
        run, meter = self.config.output, self.meter
        if self.accelerator.is_main_process:
            chances = {name: 1 / task.num_labels for name, task in self.tasks.enabled().items()}
            plot_curves(run / "log.jsonl", run / "curves.png", chances)
            summary = {
                "steps": self.config.optim.steps,
                "seconds": round(meter.total_seconds(), 1),
                "pretext": as_dicts(self.accuracies),
                "backbone": str(run / "backbone" / "backbone.safetensors"),
            }
            write_json(run / "summary.json", summary)
        self.say(
            f"done in {clock(meter.total_seconds())}: weights in {run / 'backbone' / 'backbone.safetensors'}, curves "
            f"in {run / 'curves.png'}; next: python scripts/export_backbone.py {run}",
            flush=True,
        )


def make_optimizer(model: PretextModel, config: PretrainConfig) -> torch.optim.AdamW:
    """AdamW; no decay for vectors (biases, normalisation)."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.optim.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.optim.lr, betas=(0.9, 0.99))


def tensorboard_tracker(run: Path, accelerator: Accelerator, first_step: int) -> list[Any]:
    """TensorBoard beside the log, on the main process; what was logged past `first_step` is hidden."""
    from accelerate.tracking import TensorBoardTracker

    if not accelerator.is_main_process:
        return []
    tracker = TensorBoardTracker(run_name="tensorboard", logging_dir=str(run), purge_step=first_step + 1)
    tracker.start()
    return [tracker]
