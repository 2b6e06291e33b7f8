"""The folder of proxies: where each one lies, whether it is still valid, making one."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain.data.catalogue import Video
from pretrain.data.proxy.manifest import Manifest, SourceState
from pretrain.data.proxy.render import render
from pretrain.data.proxy.settings import SUFFIXES, ProxySettings
from pretrain.data.remote import is_remote
from pretrain.data.remote.address import parse
from pretrain.data.video import VideoError
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing, sha256_of, write_json
from pretrain.versioned_json import read_json

SETTINGS_FILE = "proxies.json"


class ProxyCache:
    """Proxies by the absolute path of their source, in 256 folders; beside each its manifest (`.json`).

    `proxies.json` holds the settings that all proxies of the folder have in common.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def paths(self, videos: Sequence[Video]) -> dict[str, str]:
        """The proxy of each video, by the video's name.

        Raises UserError, naming every video whose proxy is missing, stale or damaged, and how to mend it.
        """
        settings = self.settings_record()
        if settings is None:
            raise UserError(
                f"{self.folder} holds no proxies: make them with scripts/build_cache.py --out {self.folder}, "
                "or leave data.proxies out"
            )
        found: dict[str, str] = {}
        problems: list[str] = []
        for video in videos:
            path = self.path_of(video, settings)
            problem = self._problem(video, path, settings)
            if problem:
                problems.append(f"'{video.name}': {problem}")
            else:
                found[video.name] = str(path)
        if problems:
            raise UserError(
                f"{len(problems)} of {len(videos)} videos have no valid proxy in {self.folder}:\n"
                f"{problem_list(problems)}\n"
                f"Run scripts/build_cache.py with this catalogue and --out {self.folder}: it makes what is missing "
                "or stale. What it cannot read belongs on a quarantine list (scripts/check_videos.py). Or leave "
                "data.proxies out"
            )
        return found

    def settings_record(self) -> dict[str, Any] | None:
        """What all proxies of this folder were made with; None where nothing has been built."""
        file = self.folder / SETTINGS_FILE
        if not file.exists():
            return None
        record = read_json(file, "the settings of the proxies", "build into a new folder")
        if not isinstance(record, dict) or str(record.get("format")) not in SUFFIXES:
            raise UserError(f"{file} is not of a proxy cache: build into a new folder")
        return dict(record)

    def adopt(self, settings: ProxySettings, *, rebuild: bool = False) -> None:
        """Make these the folder's settings. UserError where it holds proxies of other settings, but for `rebuild`."""
        held, wanted = self.settings_record(), settings.record()
        if held is not None and held != wanted and not rebuild:
            changes = [
                f"{key} {held.get(key)}, not {wanted.get(key)}" for key in wanted if held.get(key) != wanted[key]
            ]
            raise UserError(
                f"{self.folder} holds proxies of other settings ({'; '.join(changes) or 'older ones'}): give those, "
                "another --out, or --rebuild to make all proxies anew"
            )
        if held != wanted:
            write_json(self.folder / SETTINGS_FILE, wanted)

    def path_of(self, video: Video, settings: dict[str, Any]) -> Path:
        """Where the proxy of a video lies, or will lie."""
        source = parse(video.path).source if is_remote(video.path) else os.path.abspath(video.path)
        key = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()
        stem = os.path.splitext(os.path.basename(source))[0]
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[-60:].lstrip(".")
        return self.folder / key[:2] / f"{readable}-{key[2:14]}{SUFFIXES[settings['format']]}"

    def manifest(self, video: Video) -> Manifest | None:
        """The manifest of a video's proxy if that proxy is valid, else None."""
        settings = self.settings_record()
        if settings is None:
            return None
        path = self.path_of(video, settings)
        return None if self._problem(video, path, settings) else Manifest.read(path.with_suffix(".json"))

    def build(self, video: Video, settings: ProxySettings) -> Manifest:
        """Make (or make anew) the proxy of one video. Raises VideoError or OSError; then no half file is left."""
        record = settings.record()
        path = self.path_of(video, record)
        started = time.process_time()
        source = SourceState.of(video.path)
        with replacing(path) as temporary:
            rendered = render(video.path, temporary, settings)
            if SourceState.of(video.path) != source:
                raise VideoError(f"{video.path}: changed while its proxy was made; run again when it is complete")
        written = path.stat()
        manifest = Manifest(
            source=source,
            settings=record,
            num_frames=rendered.num_frames,
            duration_seconds=rendered.duration_seconds,
            height=rendered.height,
            width=rendered.width,
            proxy_bytes=written.st_size,
            proxy_mtime_ns=written.st_mtime_ns,
            proxy_sha256=sha256_of(path),
            build_cpu_seconds=time.process_time() - started,
        )
        manifest.write(path.with_suffix(".json"))
        return manifest

    def _problem(self, video: Video, path: Path, settings: dict[str, Any]) -> str | None:
        """Why a video's proxy may not be used; None when it may."""
        manifest = Manifest.read(path.with_suffix(".json"))
        if manifest is None:
            return "no proxy"
        if manifest.settings != settings:
            return "its proxy was made with other settings than the folder's"
        try:
            now = SourceState.of(video.path)
        except VideoError as error:
            return str(error)
        if now != manifest.source:
            was = manifest.source
            return f"the video changed after its proxy was made ({was.size} bytes then, {now.size} now; or its date)"
        return _damage(path, manifest)


def _damage(path: Path, manifest: Manifest) -> str | None:
    """What is wrong with a proxy's own file. One that was copied, or touched, is read to see that it is the same."""
    held = path.stat() if path.exists() else None
    size = 0 if held is None else held.st_size
    if held is None or size != manifest.proxy_bytes:
        return f"its proxy is damaged: {size} of {manifest.proxy_bytes} bytes"
    if held.st_mtime_ns != manifest.proxy_mtime_ns and sha256_of(path) != manifest.proxy_sha256:
        return "its proxy is damaged: its bytes are not those that were written"
    return None
