"""How long a run takes is said after its first steps, corrected, in place on a terminal and by lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from pretrain.progress import RunProgress, about


class Clock:
    """Time that moves when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stepped(progress: RunProgress, clock: Clock, *seconds: float) -> None:
    """Steps that take so long each."""
    for done, each in enumerate(seconds, start=1):
        clock.now += each
        progress.step_done(done)


def test_lines_elsewhere_come_with_the_first_step_and_then_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = RunProgress(0, 1000, 1000, show=True, clock=clock)
    stepped(progress, clock, 9.0, *[1.0] * 120)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 1/1000  9.0 s, the first one; how long the run takes is told soon"
    assert lines[1] == "step 6/1000  about 17 min left", "the first step is no measure of the others"
    assert [line.split()[1] for line in lines[2:]] == ["21/1000", "51/1000", "111/1000"]
    assert lines[-1].endswith("about 15 min left")


def test_another_line_counts_and_other_processes_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = RunProgress(0, 100, 100, show=True, clock=clock)
    stepped(progress, clock, 1.0)
    progress.say("a line of the log")
    clock.now += 4.0
    progress.step_done(2)
    RunProgress(0, 100, 100, show=False, clock=clock).say("never")
    assert capsys.readouterr().out == "a line of the log\n"


def test_validations_count_as_they_were_measured() -> None:
    clock = Clock()
    progress = RunProgress(0, 100, 40, show=False, validation_steps=5, clock=clock)
    stepped(progress, clock, 50.0)
    assert progress.seconds_left(1) is None
    stepped(progress, clock, *[2.0] * 10)
    assert progress.seconds_left(10) == 90 * 2.0 + 3 * 5 * 2.0  # after steps 40, 80 and 100
    clock.now += 30.0
    progress.validation_done()
    clock.now += 7.0
    progress.other_done()
    assert progress.seconds_left(40) == 60 * 2.0 + 2 * 30.0
    assert progress.seconds_left(100) == 30.0, "the last validation is to come"


def test_a_run_that_goes_on_counts_its_own_first_step_out() -> None:
    clock = Clock()
    progress = RunProgress(60, 100, 100, show=False, clock=clock)
    clock.now += 20.0
    progress.step_done(61)
    assert progress.seconds_left(61) is None
    clock.now += 1.0
    progress.step_done(62)
    assert progress.seconds_left(62) == 38.0


def test_on_a_terminal_it_stays_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = RunProgress(0, 3, 3, show=True, label="seed 4  ", clock=clock)
    progress._bar.mininterval = 0
    stepped(progress, clock, 70.0, 61.0)
    progress.say("a line of the log")
    progress.close()
    assert "seed 4  step 2/3 |" in terminal.getvalue()
    assert "about 1 min left" in terminal.getvalue()
    assert "\n" not in terminal.getvalue().strip("\n")
    assert capsys.readouterr().out == "a line of the log\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "about 5 s"), (41, "about 40 s"), (58, "about 1 min"), (719, "about 12 min"), (3569, "about 59 min"),
     (3580, "about 1 h"), (7800, "about 2 h 10 min"), (36000, "about 10 h")],
)  # fmt: skip
def test_time_in_words(seconds: float, words: str) -> None:
    assert about(seconds) == f"{words} left"
