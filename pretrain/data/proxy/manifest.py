"""The manifest beside each proxy: which source it was made from, how, and what it cost."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.data.remote import file_state, is_remote
from pretrain.data.video import VideoError, reading
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.json_shapes import of_type, record, whole
from pretrain.versioned_json import read_json


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """A source file as it was: any change of its bytes shows in size or time of change."""

    path: str
    """Absolute; of what lies elsewhere, its address."""
    size: int
    """Bytes; of a folder of images, the sum."""
    mtime_ns: int
    """Time of the last change; of a folder of images, the latest of it and its files."""
    num_files: int

    @staticmethod
    def of(path: str) -> SourceState:
        """The state of a video file or a folder of images now. Raises VideoError where there is none."""
        if is_remote(path):
            with reading(path):
                state = file_state(path)
            return SourceState(path=state.shown, size=state.size, mtime_ns=state.mtime_ns, num_files=1)
        absolute = os.path.abspath(path)
        try:
            status = os.stat(absolute)
            if not os.path.isdir(absolute):
                return SourceState(path=absolute, size=status.st_size, mtime_ns=status.st_mtime_ns, num_files=1)
            with os.scandir(absolute) as entries:
                files = [entry.stat() for entry in entries if entry.is_file()]
        except OSError as error:
            raise VideoError(f"{path}: cannot be looked at ({error.strerror}); check the path") from error
        latest = max([status.st_mtime_ns, *(file.st_mtime_ns for file in files)])
        size = sum(file.st_size for file in files)
        return SourceState(path=absolute, size=size, mtime_ns=latest, num_files=len(files))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of one proxy."""

    source: SourceState
    settings: dict[str, Any]
    """`ProxySettings.record()` of the build."""
    num_frames: int
    duration_seconds: float
    height: int
    width: int
    proxy_bytes: int
    proxy_mtime_ns: int
    """Time of its last change: while it is that, the bytes are taken for those that were written."""
    proxy_sha256: str
    """Hex digits, of its bytes."""
    build_cpu_seconds: float
    """CPU time that decoding the source, encoding and checking took."""

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, dataclasses.asdict(self))

    @staticmethod
    def read(path: Path) -> Manifest | None:
        """The manifest at `path`; None where there is none that can be read: its proxy is made anew."""
        try:
            values = read_json(path, "the manifest", "make the proxy again", _manifest)
        except UserError:
            return None
        return Manifest(**(values | {"source": SourceState(**values["source"])}))


def _manifest(content: Any) -> None:
    """The shape of a manifest."""
    of_type(Manifest)(content)
    size = whole(1, 1 << 16)
    record({"num_frames": whole(1), "height": size, "width": size, "proxy_bytes": whole(1)})(content)
