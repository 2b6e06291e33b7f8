"""Where shards are written to: a folder of this disk, or an address. A file appears there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pretrain.data.remote.address import address_of, place_text
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.store import download, names_in, remove, stat_of, upload
from pretrain.errors import UserError
from pretrain.files import replacing, write_json
from pretrain.json_shapes import Shape
from pretrain.versioned_json import LIST_BYTES, read_json


class Output:
    """A folder, by names of files in it."""

    def __init__(self, out: str) -> None:
        self.address = address_of(out)
        self.folder = Path(out)
        self.shown = place_text(out)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path to write to; on success its content is the file of that name."""
        if self.address is None:
            with replacing(self.folder / name) as temporary:
                yield temporary
            return
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / Path(name).name
            yield temporary
            upload(temporary, f"{self.address}/{name}")

    def write_json(self, name: str, content: Any) -> None:
        """The same with JSON."""
        if self.address is None:
            write_json(self.folder / name, content)
            return
        with self.writing(name) as temporary:
            write_json(temporary, content)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        if self.address is None:
            path = self.folder / name
            return path.stat().st_size if path.is_file() else None
        try:
            return stat_of(f"{self.address}/{name}").size
        except RemoteError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def read_json(self, name: str, shape: Shape) -> Any:
        """A JSON file's content; None where there is none that can be read: what it tells of is made anew."""
        if (size := self.size(name)) is None:
            return None
        with suppress(UserError):
            if self.address is None:
                return read_json(self.folder / name, "the part", "pack again", shape, LIST_BYTES)
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "part.json"
                download(f"{self.address}/{name}", copy, None, size)
                return read_json(copy, "the part", "pack again", shape, LIST_BYTES)
        return None

    def names(self) -> set[str]:
        """Names of what lies in the folder."""
        if self.address is not None:
            return set(names_in(self.address) or {})
        return {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()

    def remove(self, name: str) -> None:
        """Remove a file."""
        if self.address is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            remove(f"{self.address}/{name}")
