"""Copies in a folder of the test's own, stores that forget everything between tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.remote import room, store
from pretrain.data.remote.settings import FOLDER
from pretrain.data.remote.state import forget
from tests.stores import Web, s3_server


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of copies."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "copies"))
    monkeypatch.setattr(store, "WAITS", (0.01, 0.02, 0.03))
    room._fetched.clear()
    forget()
    return tmp_path / "copies"


@pytest.fixture
def memory(copies: Path) -> Iterator[Any]:
    """An empty store in this process's memory."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


@pytest.fixture
def web(tmp_path: Path, copies: Path) -> Iterator[Web]:
    """An empty folder behind a web server."""
    pytest.importorskip("aiohttp", reason="the extra 'remote' is not installed")
    (tmp_path / "web").mkdir()
    with Web(tmp_path / "web").running() as running:
        yield running


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, copies: Path) -> Iterator[Any]:
    """A real S3 server with the bucket `footage`."""
    with s3_server(monkeypatch) as system:
        yield system
