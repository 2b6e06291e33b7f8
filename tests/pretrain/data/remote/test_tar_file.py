"""Listing tar files by their headers, and those that are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.state import member_paths
from pretrain.data.remote.tar_file import members_of, tar_stat
from tests.stores import Web

CONTENT = {"train/a.mp4": b"a" * 700, "b.mp4": b"", "v__#00-1.mp4": b"c" * 100_000, "x" * 150 + "é.mp4": b"d"}


def write_tar(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, before: str = "") -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(before + name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("before", ["", "./"])
def test_members_are_where_their_bytes_are(tmp_path: Path, form: int, before: str) -> None:
    tar = write_tar(tmp_path / "x.tar", CONTENT, form, before)
    held = tar.read_bytes()
    found = members_of(str(tar), tar_stat(str(tar)))
    assert {member.name: held[member.offset : member.offset + member.size] for member in found} == CONTENT


def test_at_an_address_headers_alone_are_read(web: Web) -> None:
    files = {f"{number}.mp4": bytes(1_000_000) for number in range(4)}
    write_tar(web.folder / "x.tar", files)
    local = member_paths(str(web.folder / "x.tar"))
    found = member_paths(f"{web.address}/x.tar")
    assert [path.partition("#")[2] for path in found.values()] == [path.partition("#")[2] for path in local.values()]
    assert web.bytes_of("x.tar") < 500_000


def special(kind: bytes, name: str = "a.mp4", size: int = 0) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, "/etc/passwd", size
        path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    return write


def test_a_tar_file_that_could_harm_is_refused(tmp_path: Path) -> None:
    bad = {
        "is a link, a device": special(tarfile.SYMTYPE),
        "is a link, a device or": special(tarfile.LNKTYPE),
        "link, a device or a": special(tarfile.CHRTYPE),
        r"the name '\.\./a.mp4' leads out of the tar file": special(tarfile.REGTYPE, "../a.mp4"),
        "the name '/etc/a.mp4' leads out": special(tarfile.REGTYPE, "/etc/a.mp4"),
        "the name 'a//b.mp4' leads out": special(tarfile.REGTYPE, "a//b.mp4"),
        "would have 1,099,511,627,776 bytes": special(tarfile.REGTYPE, size=1 << 40),
        r"would have -[\d,]+ bytes": special(tarfile.REGTYPE, size=-(1 << 40)),
        "a header asks for": special(tarfile.GNUTYPE_LONGNAME, size=1 << 40),
        "asks for .* bytes": special(tarfile.XHDTYPE, size=1 << 30),
    }
    for number, (message, write) in enumerate(bad.items()):
        path = tmp_path / f"{number}.tar"
        write(path)
        with pytest.raises(RemoteError, match=message):
            member_paths(str(path))


def test_damage_and_doubled_names_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar file at all" * 100)
    with pytest.raises(RemoteError, match="is no tar file, or damaged"):
        member_paths(str(tmp_path / "x.tar"))
    whole = write_tar(tmp_path / "y.tar", CONTENT).read_bytes()
    (tmp_path / "y.tar").write_bytes(whole[:1536])  # behind the first file
    with pytest.raises(RemoteError, match=r"y\.tar: has no end where its last file ends"):
        member_paths(str(tmp_path / "y.tar"))
    (tmp_path / "y.tar").write_bytes(whole[:1600] + b"x" + whole[1601:])  # in the second header
    with pytest.raises(RemoteError, match=r"y\.tar: has no end where its last file ends"):
        member_paths(str(tmp_path / "y.tar"))
    (tmp_path / "y.tar").write_bytes(whole[:3000])
    with pytest.raises(RemoteError, match=r"y.tar: .*(damaged|cut off)"):
        member_paths(str(tmp_path / "y.tar"))
    with tarfile.open(tmp_path / "z.tar", "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("a.mp4"))
    with pytest.raises(RemoteError, match=r"holds 'a\.mp4' twice"):
        member_paths(str(tmp_path / "z.tar"))
