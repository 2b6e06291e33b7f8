"""Rounds of kills, mutations and odd files, in one small world; the table of what came of them."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import faults_odd as odd
from benchmarks.faults_config import FaultsConfig
from benchmarks.faults_folders import copy, remove, sync
from benchmarks.faults_kills import Kill, Undisturbed, try_kill, undisturbed
from benchmarks.faults_mutations import Mutation, kinds, prepare, shares, try_mutation
from benchmarks.faults_readers import LEFT_OUT, READERS
from benchmarks.faults_world import WRITERS, Writer, build, warm_up
from pretrain.errors import UserError, nearest
from pretrain.files import write_json
from pretrain.tracking import clock

QUICK_KILLS, QUICK_MUTATIONS = 2, 300
Trial: TypeAlias = Kill | Mutation | odd.OddFile
SHOWN = 60
"""Of what fell; result.json has all."""


@dataclass(kw_only=True)
class Tally:
    """Everything that was tried."""

    kills: list[Kill] = field(default_factory=list)
    mutations: list[Mutation] = field(default_factory=list)
    odd_files: list[odd.OddFile] = field(default_factory=list)

    @property
    def fallen(self) -> list[Trial]:
        """What ended as nothing may end."""
        tried: list[Trial] = [*self.kills, *self.mutations, *self.odd_files]
        return [trial for trial in tried if trial.fell]


@dataclass(frozen=True, kw_only=True)
class World:
    """The folder that all children stand in, and a copy of what it was."""

    root: Path
    keep: Path
    undisturbed: dict[str, Undisturbed]

    @staticmethod
    def make(out: Path) -> World:
        """Build it, counting what each writer writes."""
        root, keep = (out / name for name in ("world", "keep"))
        for folder in (root, keep):
            remove(folder)
        root.mkdir(parents=True)
        alone: dict[str, Undisturbed] = {}

        def run(writer: Writer) -> None:
            alone[writer.name] = undisturbed(writer, root)

        build(root, run)
        copy(root, keep)
        return World(root=root, keep=keep, undisturbed=alone)


def measure(config: FaultsConfig) -> int:
    """The whole benchmark; 1 where anything fell."""
    began = time.monotonic()
    check_names(config)
    warm_up()
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise UserError(f"this process has {threads} threads and cannot be forked: one of its imports starts them")
    out = config.out.resolve()
    print(f"seed {config.seed}; building the small world in {out}", flush=True)
    world = World.make(out)
    print(f"built in {clock(time.monotonic() - began)}: {len(WRITERS)} writers, {len(READERS)} readers", flush=True)
    for name, packages in LEFT_OUT.items():
        print(f"left out: {name}, which needs {', '.join(packages)}", flush=True)
    tally = Tally()
    try_kills = kills_of(config, world)
    try_mutations = mutations_of(config, world)
    for number in rounds(config.hours, began):
        for trial in try_kills(number) if "kills" in config.parts else ():
            tally.kills.append(told(trial))
        for mutation in try_mutations(number) if "mutations" in config.parts else ():
            tally.mutations.append(told(mutation))
        if "odd" in config.parts and number == 0:
            tally.odd_files = odd_files(config, world)
    seconds = time.monotonic() - began
    result = result_of(config, tally, seconds)
    write_json(out / "result.json", result | {"fallen": [described(trial) for trial in tally.fallen]})
    print("\n".join(["", *table(tally), "", *list_of_fallen(tally, config.seed)]))
    print(f"RESULT {json.dumps(result)}")
    return 1 if tally.fallen else 0


def check_names(config: FaultsConfig) -> None:
    """UserError where --only names a writer or a reader that is none."""
    known = {"kill": [w.name for w in WRITERS], "mutation": [reader.name for reader in READERS]}
    for key in config.only:
        part, _, rest = key.partition(":")
        name = rest.partition(":")[0]
        if part in known and name not in known[part]:
            raise UserError(f"only names '{key}'; there is no '{name}'{nearest(name, known[part])} ({known[part]})")


def rounds(hours: float, began: float) -> Iterator[int]:
    """0, 1, ... until so many hours have passed; at least one."""
    number = 0
    while not number or time.monotonic() < began + 3600 * hours:
        yield number
        number += 1


def kills_of(config: FaultsConfig, world: World) -> Callable[[int], Iterator[Kill]]:
    """All kills of a round."""

    def of_round(number: int) -> Iterator[Kill]:
        for writer in WRITERS:
            for trial in chosen("kill", writer.name, kill_count(config, writer), number, config.only):
                whole = world.undisturbed[writer.name]
                yield try_kill(writer, whole, world.root, world.keep, config.seed, trial)

    return of_round


def kill_count(config: FaultsConfig, writer: Writer) -> int:
    """Of one writer in one round."""
    count = QUICK_KILLS if config.quick else config.kills
    return (count + 1) // 2 if writer.starts_processes else count


def mutations_of(config: FaultsConfig, world: World) -> Callable[[int], Iterator[Mutation]]:
    """All mutations of a round; readers are prepared once, on the first call."""
    prepared: dict[str, Any] = {}

    def of_round(number: int) -> Iterator[Mutation]:
        counts = shares(READERS, QUICK_MUTATIONS if config.quick else config.mutations)
        trials = {r.name: list(chosen("mutation", r.name, counts[r.name], number, config.only)) for r in READERS}
        readers = [reader for reader in READERS if trials[reader.name]]
        if not prepared and readers:
            prepared.update(prepare(readers, world.root, world.keep))
        for reader in readers:
            for trial in trials[reader.name]:
                yield try_mutation(reader, prepared[reader.name], world.root, world.keep, config.seed, trial)

    return of_round


def chosen(part: str, name: str, count: int, number: int, only: Sequence[str]) -> list[int]:
    """Numbers of one writer's or reader's trials in a round: `count` in a row, or those that --only names."""
    row = range(number * count, (number + 1) * count)
    if not only:
        return list(row)
    if f"{part}:{name}" in only:
        return list(row)
    alone = [key.rpartition(":")[2] for key in only if key.rpartition(":")[0] == f"{part}:{name}"]
    return [int(text) for text in alone if text.isdigit()]


def odd_files(config: FaultsConfig, world: World) -> list[odd.OddFile]:
    """The odd files of the real data, or a word why not."""
    if reason := odd.missing(config.data):
        print(f"odd files: {reason}", flush=True)
        return []
    names = odd.listed(config.data)
    if config.only:
        names = {name: frames for name, frames in names.items() if f"odd:{name}" in config.only}
    tried = [told(file) for file in odd.try_files(config.data, world.root, names)]
    sync(world.root, world.keep)
    return tried


def told(trial: Any) -> Any:
    """The trial, printed where it fell: a long run is watched."""
    if trial.fell:
        print(f"fell: {line_of(trial)}", flush=True)
    return trial


def line_of(trial: Trial) -> str:
    """A trial in a line."""
    if isinstance(trial, Kill):
        left = [f"left: {name}" for name in trial.temporary] + [f"{trial.processes} processes left"] * bool(
            trial.processes
        )
        return f"{trial.key}  {trial.how}: {'; '.join([*trial.problems, *left])[:300]}"
    if isinstance(trial, Mutation):
        words = f": {trial.last_words[:160]}" if trial.result != "wrong frames" else ""
        return f"{trial.key}  {trial.file}, {trial.damage}: {trial.result}{words}"
    return (
        f"{trial.key}  {trial.frames} frames by FFmpeg; {trial.result} {trial.outcome.value} {trial.outcome.last_words}"
    )


def described(trial: Trial) -> dict[str, str]:
    """For result.json."""
    return {"key": trial.key, "what": line_of(trial)}


def table(tally: Tally) -> list[str]:
    """A line for each writer, each reader, and the odd files."""
    lines = [f"{'kills':<26}{'tried':>6}{'lost':>6}{'temporary':>11}{'processes':>11}"]
    for name in dict.fromkeys(kill.writer for kill in tally.kills):
        own = [kill for kill in tally.kills if kill.writer == name]
        lost, left = sum(bool(kill.problems) for kill in own), sum(len(kill.temporary) for kill in own)
        lines.append(f"  {name:<24}{len(own):>6}{lost:>6}{left:>11}{sum(kill.processes for kill in own):>11}")
    lines += ["", f"{'mutations':<26}{'tried':>6}{'message':>9}{'same':>6}{'other':>7}{'fell':>6}"]
    for name in dict.fromkeys(mutation.reader for mutation in tally.mutations):
        results: Counter[str] = Counter(m.result for m in tally.mutations if m.reader == name)
        fell = sum(mutation.fell for mutation in tally.mutations if mutation.reader == name)
        lines.append(
            f"  {name:<24}{results.total():>6}{results['message']:>9}{results['the same']:>6}"
            f"{results['other data']:>7}{fell:>6}"
        )
    if tally.odd_files:
        results = Counter(file.result for file in tally.odd_files)
        parts = ", ".join(f"{count} {result}" for result, count in sorted(results.items()))
        lines += ["", f"odd files: {len(tally.odd_files)}: {parts}"]
    return lines


def list_of_fallen(tally: Tally, seed: int) -> list[str]:
    """What fell, with what runs it again; mutations by kind first."""
    if not tally.fallen:
        return ["nothing fell"]
    lines = [f"{len(tally.fallen)} fell; again, alone: python -m benchmarks.faults --seed {seed} --only KEY"]
    lines += [f"  {len(own):>4}  {kind}" for kind, own in sorted(kinds(tally.mutations).items())]
    lines += [f"  {line_of(trial)}" for trial in tally.fallen[:SHOWN]]
    if len(tally.fallen) > SHOWN:
        lines.append(f"  ... and {len(tally.fallen) - SHOWN} more in result.json")
    return lines


def result_of(config: FaultsConfig, tally: Tally, seconds: float) -> dict[str, Any]:
    """The figures of the last line."""
    results: Counter[str] = Counter(mutation.result for mutation in tally.mutations)
    odd_results = Counter(file.result for file in tally.odd_files)
    return {
        "seed": config.seed,
        "kills": len(tally.kills),
        "kills_lost": sum(bool(kill.problems) for kill in tally.kills),
        "temporary_files": sum(len(kill.temporary) for kill in tally.kills),
        "processes_left": sum(kill.processes for kill in tally.kills),
        "mutations": len(tally.mutations),
        "tracebacks": results["traceback"] + odd_results["traceback"],
        "silent": results["silent"] + odd_results["silent"],
        "hangs": results["hang"] + odd_results["hang"],
        "out_of_memory": results["memory"] + odd_results["memory"],
        "crashes": results["crash"] + odd_results["crash"],
        "wrong_frames": results["wrong frames"] + odd_results["other frames"],
        "odd_files": len(tally.odd_files),
        "seconds": round(seconds),
    }
