"""No secret of an address is printed by any command, whatever its form and whatever else is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from downstream.detection.live import watch
from scripts import calibrate, check_videos, detect, extract_features
from tests.downstream.detection.live.models import small_encoder, small_group, small_model
from tests.pretrain.test_addresses import FORMS, SECRET

HERE = [form.replace("10.0.0.7:554", "127.0.0.1:1").replace("10.0.0.7", "127.0.0.1:1") for form in FORMS]


def said(main: Callable[..., Any], arguments: Sequence[str], capfd: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    printed = capfd.readouterr()
    assert printed.err.strip()
    return printed.out + printed.err


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(watch, "open_model", lambda *_: small_model(small_group(small_encoder())))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", HERE)
def test_nobody_who_answers(form: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if ("chat.example" in form or "[fe80" in form) and "://" in form:
        return  # no name server and no other machine is asked here
    text = said(detect.main, [form, "--live.timeout", "0.2", "--live.max-outage", "0.1"], capfd)
    assert SECRET not in text
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("form", HERE)
def test_what_cannot_be_read(form: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = tmp_path / "a.mp4"
    frames.touch()
    for main, arguments in [
        (detect.main, [form, "rtsp://127.0.0.1:1/"]),
        (detect.main, [form, str(frames), "--live.play"]),
        (detect.main, [form, str(frames), "--films", "x"]),
        (detect.main, [str(frames), "--live.play", f"--live.webhook={form}x:/"]),
        (detect.main, [str(frames), "--detector", form]),
        (calibrate.main, [form, "--detector", "d", "--per-hour", "1"]),
        (calibrate.main, [str(frames), "--detector", "d", "--per-hour", form]),
        (calibrate.main, [str(frames), "--detector", form, "--per-hour", "1"]),
        (check_videos.main, ["--data.root", form]),
        (extract_features.main, ["--data.root", form, "--encoder", "r3d"]),
    ]:
        assert SECRET not in "".join(said(main, arguments, capfd).split()), (main, arguments)
