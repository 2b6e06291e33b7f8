"""Settings of live inputs say all that is wrong with them at once."""

from __future__ import annotations

import pytest

from downstream.detection.live.settings import LiveSettings, SourceSettings
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
