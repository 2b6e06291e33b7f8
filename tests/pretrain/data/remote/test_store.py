"""What a store says, and what is said where it does not answer; against a web server and a real S3 server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.remote import store
from pretrain.data.remote.errors import RemoteError
from pretrain.errors import UserError
from tests.stores import BUCKET, Web


def test_s3_says_state_names_and_bytes(s3: Any, tmp_path: Path) -> None:
    s3.pipe(f"{BUCKET}/v/a.mp4", b"0123456789")
    s3.pipe(f"{BUCKET}/v/sub/b.mp4", b"b")
    root = f"s3://{BUCKET}/v"
    first = store.stat_of(f"{root}/a.mp4")
    assert first.size == 10
    assert first.tag
    assert first.mtime_ns > 0
    assert list(store.stats_below(root)) == ["a.mp4", "sub/b.mp4"]
    assert store.stats_below(root)["a.mp4"] == first
    assert store.names_in(root) == {"a.mp4": first, "sub": None}
    assert store.names_in(f"s3://{BUCKET}/nowhere") is None
    assert store.read_range(f"{root}/a.mp4", 2, 5) == b"234"
    target = tmp_path / "copy"
    store.download(f"{root}/a.mp4", target, (8, 10), 2)
    assert target.read_bytes() == b"89"
    s3.pipe(f"{BUCKET}/v/a.mp4", b"9876543210")
    assert store.stat_of(f"{root}/a.mp4").tag != first.tag


def test_a_wrong_bucket_is_one_line(s3: Any) -> None:
    with pytest.raises(RemoteError, match=r"s3://nobucket/v: there is no such object, or no such bucket") as error:
        store.stats_below("s3://nobucket/v")
    assert "\n" not in str(error.value)


def test_what_breaks_is_tried_again_and_then_told_with_its_address(web: Web, tmp_path: Path) -> None:
    (web.folder / "a.mp4").write_bytes(bytes(1000))
    web.cut = 2
    store.download(f"{web.address}/a.mp4", tmp_path / "copy", None, 1000)
    assert (tmp_path / "copy").read_bytes() == bytes(1000)
    assert [count for _, count in web.sent] == [500, 500, 1000]
    web.cut = 99
    broken = web.address.replace("//", "//anna:secret@")
    with pytest.raises(RemoteError, match=r"^http://127.0.0.1:\d+/~\w{6}: cannot be read .*tried 4 times") as error:
        store.download(f"{broken}/a.mp4", tmp_path / "copy", None, 1000)
    assert "secret" not in str(error.value)
    assert len(web.sent) == 3 + 4


def test_what_is_refused_is_not_tried_again(web: Web, tmp_path: Path) -> None:
    (web.folder / "a.mp4").write_bytes(bytes(10))
    web.status = 403
    with pytest.raises(RemoteError, match=r"cannot be read \(ClientResponseError: 403"):
        store.read_range(f"{web.address}/a.mp4", 0, 5)


def test_an_unknown_protocol_and_chains_are_refused() -> None:
    with pytest.raises(UserError, match="'s4' is no protocol that fsspec knows; write s3://BUCKET/FOLDER"):
        store.stat_of("s4://bucket/a.mp4")
    with pytest.raises(UserError, match=r"addresses within addresses \(::\) are not opened"):
        store.stat_of("simplecache::s3://bucket/a.mp4")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    pytest.importorskip("fsspec")
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(UserError, match=r"pip install 'anomaly-pretext\[remote\]'"):
        store.stat_of("s3://bucket/a.mp4")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UserError, match=r"need fsspec, .*pip install 'anomaly-pretext\[remote\]'"):
        store.stat_of("s3://bucket/a.mp4")


def test_a_time_is_made_up_where_a_store_has_none() -> None:
    entry = {"size": 3, "ETag": "x", "type": "file"}
    first = store._stat("https://h/a", entry)
    assert first == store._stat("https://h/a", dict(entry))
    assert first.mtime_ns != store._stat("https://h/a", entry | {"ETag": "y"}).mtime_ns
    with pytest.raises(RemoteError, match="does not say how large it is"):
        store._stat("https://h/a", {"size": None})
