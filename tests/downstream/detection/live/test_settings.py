"""Settings of live inputs say all that is wrong with them at once."""

from __future__ import annotations

import pytest

from downstream.detection.live.settings import LiveSettings, PictureSettings, SourceSettings
from pretrain.errors import UserError


def test_settings_name_all_that_is_wrong() -> None:
    with pytest.raises(UserError) as refused:
        SourceSettings(timeout=0, max_outage=-1, queue_frames=1)
    assert str(refused.value).splitlines()[1:] == [
        "  - timeout is 0; it must be more than 0, in seconds",
        "  - max_outage is -1; it must be more than 0 seconds, or left out",
        "  - queue_frames is 1; it must be at least 2",
    ]


def test_watching_names_all_that_is_wrong() -> None:
    with pytest.raises(UserError) as refused:
        LiveSettings(lookahead=-1, window_seconds=0, stop_after=0, status_every=-1)
    assert str(refused.value).splitlines() == [
        "a stream cannot be watched like this:",
        "  - lookahead is -1; it must be 0 or more snippets",
        "  - window_seconds is 0; it must be more than 0",
        "  - stop_after is 0; it must be more than 0 seconds, or left out",
        "  - status_every is -1; it must be 0 or more seconds",
    ]


def test_pictures_and_metrics_name_all_that_is_wrong() -> None:
    with pytest.raises(UserError) as refused:
        PictureSettings(fps=0, memory_mb=-1, post_seconds=121, width=8)
    assert str(refused.value).splitlines() == [
        "pictures of alarms cannot be kept like this:",
        "  - fps is 0; it must be more than 0",
        "  - memory_mb is -1; it must be more than 0",
        "  - post_seconds is 121; it must be 0 to 120 seconds",
        "  - width is 8; it must be 16 to 3840 pixels",
    ]
    with pytest.raises(UserError) as refused:
        LiveSettings(
            health_seconds=0, metrics_port=70000, webhook_pictures="base64", pictures=PictureSettings(save=False)
        )
    assert str(refused.value).splitlines()[1:] == [
        "  - health_seconds is 0; it must be more than 0",
        "  - metrics_port is 70000; ports are 1 to 65535, 0: any that is free",
        "  - webhook_pictures is base64, and pictures.save is off: there are none",
    ]
