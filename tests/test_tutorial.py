"""docs/tutorial.md is run as it is written, on small videos that stand in for the reader's; what it shows comes out."""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import av
import numpy as np
import pytest

from tests.paths import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
HEIGHT, WIDTH, FPS, FRAMES = 64, 96, 25, 240
SPANS = {"yard_21": (96, 192), "yard_22": (64, 128), "yard_23": (128, 176)}
"""As spans.csv in the tutorial says."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def encode(path: Path, seed: int, span: tuple[int, int] | None, frames: int = FRAMES) -> None:
    """A patch drifts over a textured, trembling ground; within the span something else flickers beside it."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    position, velocity = rng.uniform(8, 40, 2), rng.uniform(0.3, 0.8, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for number in range(frames):
            frame = ground + rng.integers(0, 12, dtype=np.uint8)
            y, x = (position + number * velocity).astype(int) % (HEIGHT - 8, WIDTH - 8)
            frame[y : y + 8, x : x + 8] = (200, 60, 40)
            if span and span[0] <= number < span[1]:
                frame[20:44, 50:74] = 80 + 60 * (number // 2 % 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def make_videos(root: Path) -> None:
    """What step 1 of the tutorial tells its reader to lay out."""
    for number in range(1, 7):
        encode(root / f"videos/train/normal/door_{number:02d}.mp4", number, None)
        begin = 48 + 16 * number
        encode(root / f"videos/train/abnormal/door_{20 + number}.mp4", 20 + number, (begin, begin + 64))
    for number in range(1, 4):
        encode(root / f"videos/test/normal/yard_{number:02d}.mp4", 40 + number, None)
        encode(root / f"videos/test/abnormal/yard_{20 + number}.mp4", 60 + number, SPANS[f"yard_{20 + number}"])
    for number, camera in enumerate(("gate", "gate", "yard", "yard")):
        encode(root / f"normal_footage/{camera}/{900 + 30 * (number % 2):04d}.mp4", 80 + number, None, 500)
    encode(root / "new/gate_1600.mp4", 99, (96, 176))


def blocks() -> list[tuple[str, str, str]]:
    """`(name, commands, output)` of each step, the output that the tutorial shows right below them, if it does."""
    found = []
    text = TUTORIAL.read_text(encoding="utf-8")
    matches = list(BLOCK.finditer(text))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        if match[1] != "bash":
            continue
        is_output = (
            following is not None and following[1] == "text" and not text[match.end() : following.start()].strip()
        )
        name = re.findall(r"^## (.+)$", text[: match.start()], re.MULTILINE)[-1]
        found.append((name, match[2], following[2] if following is not None and is_output else ""))
    return found


def shape(line: str) -> str:
    """A line of output without what differs from run to run and machine to machine: numbers, dates, spaces."""
    line = re.sub(r"^\d{4}-\d\d-\d\dT\S+ ", "", line)  # the time of a log line, which a terminal does not show
    return " ".join(re.sub(r"[+-]?\d[\d.:,]*(e-?\d+)?", "N", line).split())


def work(words: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    """In a process of its own that has imported what it needs: `python WORDS`, output to the log."""
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder / Path(words[0]).parent))
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def run(script: str, folder: Path, environment: dict[str, str], log: Path) -> tuple[int, str]:
    """Exit status and output of a step's commands. Those of Python alone are forked: starting each takes 4 s."""
    joined = script.replace("\\\n", " ").strip()
    if joined.startswith("python ") and "\n" not in joined:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["downstream.detection.detect", "downstream.training.finetune", "downstream.report.page"]
        )
        process = context.Process(target=work, args=(shlex.split(joined)[1:], folder, environment, log))
        log.touch()
        process.start()
        process.join(300)
        assert process.exitcode is not None, f"{joined} does not end"
        return process.exitcode, log.read_text(encoding="utf-8")
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=os.environ | environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    make_videos(tmp_path)
    for name in ("scripts", "pretrain.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }
    steps = blocks()
    assert len(steps) == 12, "ten sections, two of them with a list to write and a command"
    for number, (name, script, shown) in enumerate(steps):
        status, output = run(script, tmp_path, environment, tmp_path / f"step{number}.log")
        assert status == 0, f"{name}: exit status {status}\n{script}\n{output}"
        printed = {shape(line) for line in output.splitlines()}
        missing = [line for line in shown.splitlines() if line.strip(" .") and shape(line) not in printed]
        assert not missing, f"{name}: the tutorial shows {missing}\nprinted was\n{output}"


COMMAND = re.compile(r"(?:^|[\s`])((?:scripts/)?\w+\.py)((?: [^\n`|;]*)?)")
FLAG = re.compile(r"--[a-z][\w.-]*")


def documented_flags() -> dict[str, dict[str, str]]:
    """Script -> flag -> the file that gives it to that script: of all commands in README.md and docs."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for script, arguments in COMMAND.findall(text):
            if (ROOT / script).is_file():
                words = shlex.split(arguments.split(" #")[0], posix=False)
                found[script] |= {word: page.name for word in words if FLAG.fullmatch(word)}
    return found


def test_every_flag_in_the_docs_exists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    documented = documented_flags()
    assert len(documented) >= 15
    unknown = []
    for script, flags in documented.items():
        monkeypatch.setattr(sys, "argv", [script, "--help"])
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(ROOT / script), run_name="__main__")
        known = set(FLAG.findall(capsys.readouterr().out))
        unknown += [f"{page}: {script} {flag}" for flag, page in flags.items() if flag not in known]
    assert not unknown


def test_every_link_in_the_docs_leads_somewhere() -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
    anchors = {
        page: {anchor(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)} for page, text in pages.items()
    }
    broken = []
    for page, text in pages.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            target, _, place = link.partition("#")
            file = page if not target else page.parent / target
            if "://" in link:
                continue
            if not file.exists() or (place and place not in anchors[file.resolve()]):
                broken.append(f"{page.name}: {link}")
    assert not broken


def anchor(title: str) -> str:
    """A heading's address, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
