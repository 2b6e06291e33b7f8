"""What a run says while it runs, and the curves at the end."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker, on_main_process

from pretrain.errors import UserError
from pretrain.files import replacing, write_text
from pretrain.json_shapes import check, record, whole
from pretrain.reading import LIST_BYTES, Unreadable, read_bytes
from pretrain.versioned_json import parse_json


class JsonLinesTracker(GeneralTracker):
    """Every logged value as one JSON object a line, in `RUN/log.jsonl`; always on."""

    name = "jsonl"
    requires_logging_directory = False

    def __init__(self, path: Path, first_step: int) -> None:
        super().__init__()
        self.path = path
        self._truncate(first_step)

    @property
    def tracker(self) -> Path:
        """The log file."""
        return self.path

    @on_main_process
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """The configuration lies in config.json; nothing to do."""

    @on_main_process
    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        """Append one line; what a crash cuts off is the last line at most."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")

    @on_main_process
    def _truncate(self, first_step: int) -> None:
        """Drop what a stopped run logged past the state that this one goes on from."""
        kept = [entry for entry in read_log(self.path) if entry["step"] <= first_step] if first_step else []
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))


_ENTRY = record({"step": whole(0)})


def read_log(path: Path) -> list[dict[str, Any]]:
    """Entries of a `log.jsonl`, objects with a `step`; what was cut off or damaged, and all after it, is left out.

    UserError where it cannot be read at all.
    """
    if not path.exists():
        return []
    entries = []
    try:
        lines = read_bytes(path, LIST_BYTES).split(b"\n")
    except Unreadable as error:
        raise UserError(f"cannot read the log {path} ({error}); delete it, the run goes on without it") from error
    for line in lines:
        try:
            entry = parse_json(line, takes_nan=True)
            check(entry, _ENTRY)
        except ValueError:
            break
        entries.append(entry)
    return entries


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def progress_line(values: dict[str, float], tasks: list[str], step: int, total: int) -> str:
    """One console line: loss, each task's loss and accuracy, rate, speed, waiting, time left."""
    parts = "  ".join(
        f"{name} {values[f'train/{name}/loss']:.2f} ({values[f'train/{name}/accuracy']:.2f})" for name in tasks
    )
    speed, waiting = values["speed/clips_per_second"], 100 * values["speed/data_wait_share"]
    return (
        f"step {step:>{len(str(total))}}/{total}  loss {values['train/loss']:.3f}  {parts}  "
        f"lr {values['train/lr']:.1e}  {speed:.0f} clips/s  data wait {waiting:.0f} %  "
        f"left {clock(values['speed/seconds_left'])}"
    )


def validation_table(accuracies: dict[str, dict[str, float]]) -> str:
    """Each task's validation accuracy, interval and chance level."""
    lines = [f"{'task':<16}{'accuracy':>9}   {'95 % interval':<17}{'chance':>7}{'clips':>8}{'videos':>8}"]
    for name, entry in accuracies.items():
        interval = f"{entry['ci_low']:.3f} to {entry['ci_high']:.3f}"
        lines.append(
            f"{name:<16}{entry['accuracy']:>9.3f}   {interval:<17}{entry['chance']:>7.3f}"
            f"{entry['clips']:>8}{entry['videos']:>8}"
        )
    return "\n".join(lines)


TREND_FROM = 3
"""Points that make a line: two are two measurements, and a line between them a trend that nobody measured."""


def plot_curves(log: Path, target: Path, tasks: dict[str, float]) -> None:
    """Loss and accuracy of each task over the steps, training and validation, as a PNG. `tasks` maps name to chance.

    Losses stand on one scale, as shares of what guessing costs: log(classes), `classes` being 1 / chance. So tasks of
    two classes and of four compare. Of a loss with parts (abrupt change) the `detection` is drawn, the part that
    accuracy counts.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    entries = read_log(log)
    figure = Figure(figsize=(4 * len(tasks), 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(tasks), sharex=True, sharey="row", squeeze=False)
    for column, (name, chance) in enumerate(tasks.items()):
        upper, lower = axes[0, column], axes[1, column]
        steps, losses = _series(entries, f"train/{name}/detection")
        if not steps:
            steps, losses = _series(entries, f"train/{name}/loss")
        _line(upper, steps, [loss / -math.log(chance) for loss in losses], TRAINING, "training")
        _line(lower, *_series(entries, f"train/{name}/accuracy"), TRAINING, "training")
        _held_out(lower, entries, name)
        for axis, guessing in ((upper, 1.0), (lower, chance)):
            axis.axhline(guessing, color="#888888", linestyle="--", linewidth=1, label="guessing")
            axis.grid(color="#e6e6e6", linewidth=0.7)
            axis.set_axisbelow(True)
        upper.set_title(name.replace("_", " "))
        lower.set_xlabel("step")
        lower.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0, 0].set_ylim(bottom=0)
    axes[1, 0].set_ylim(0, 1.02)
    axes[0, 0].set_ylabel("training loss (guessing: 1)")
    axes[1, 0].set_ylabel("accuracy")
    axes[1, 0].legend(loc="lower right", fontsize=8)
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=110)


TRAINING, HELD_OUT = "#0072b2", "#d55e00"


def _line(axis: Any, steps: list[int], values: list[float], colour: str, label: str) -> None:
    """A line where there are enough points for one, else the points."""
    style = "-" if len(steps) >= TREND_FROM else ""
    marker = "" if len(steps) > 30 else "o"
    axis.plot(steps, values, color=colour, linestyle=style, marker=marker, markersize=3, linewidth=1.2, label=label)


def _held_out(axis: Any, entries: list[dict[str, Any]], name: str) -> None:
    """Validation accuracies, each with its interval."""
    steps, values = _series(entries, f"validation/{name}/accuracy")
    ends = [_series(entries, f"validation/{name}/{end}")[1] for end in ("ci_low", "ci_high")]
    if not steps or any(len(end) != len(steps) for end in ends):
        return
    around = [[value - low for value, low in zip(values, ends[0], strict=True)],
              [high - value for value, high in zip(values, ends[1], strict=True)]]  # fmt: skip
    around = [[max(0.0, length) for length in side] for side in around]
    axis.errorbar(
        steps, values, around, color=HELD_OUT, marker="o", markersize=4, capsize=3, zorder=3,
        linestyle="-" if len(steps) >= TREND_FROM else "", label="held out, 95 % interval",
    )  # fmt: skip


def _series(entries: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    found = [(entry["step"], entry[key]) for entry in entries if type(entry.get(key)) in (int, float)]
    return [step for step, _ in found], [value for _, value in found]
