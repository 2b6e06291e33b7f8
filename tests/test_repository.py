"""What is tracked: small files of text, that name neither a place on somebody's machine nor a host nobody knows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.paths import ROOT

LIMIT_BYTES = 1_000_000
BINARY = {
    *(".whl", ".so", ".pyd", ".dylib", ".zip", ".gz"),
    *(".pt", ".pt2", ".pth", ".ckpt", ".onnx", ".safetensors", ".pkl", ".npy", ".npz", ".h5", ".mat"),
    *(".mp4", ".avi", ".mkv"),
}
PICTURES = {"docs/found.jpg"}
SHIPPED = {
    "pretrain/backbones/shipped_small3d/backbone.safetensors",
    "downstream/detection/unfitted/detectors/0/detector.safetensors",
}
"""Weights that come with the package."""

HOME = re.compile(r"(?<![\w.:/*<{}-])/(?:tmp|root|work|workspace|home|Users|mnt|scratch)/[\w.-]+")
FOREIGN = {"tests/downstream/features/test_importing.py"}
"""Shows a list file as somebody else's machine wrote it."""

HOST = re.compile(r"\b(?:https?|rtsp|rtmp|ftp)://(?:[^\s/@\"'`{]*@)?([A-Za-z0-9][A-Za-z0-9.-]*)")
EXAMPLES = {"camera", "camera.local", "host", "example.org", "localhost", "127.0.0.1"}
CITED = {
    "git-lfs.github.com",
    "imagelab.ing.unimore.it",
    "roc-ng.github.io",
    "svip-lab.github.io",
    "www.apache.org",
    "www.crcv.ucf.edu",
    "www.w3.org",
}
"""Pages of datasets, of the licence, and a namespace."""


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Paths of all tracked files, from the root of the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be told")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in listed.split("\0") if name]
    assert len(paths) > 300
    return [path for path in paths if (ROOT / path).is_file()]  # not those just removed


def test_no_tracked_file_is_large(tracked: list[Path]) -> None:
    large = {str(path): (ROOT / path).stat().st_size for path in tracked}
    large = {name: size for name, size in large.items() if size > LIMIT_BYTES}
    assert not large, f"over {LIMIT_BYTES} bytes: {large}; what is built, trained or rendered is not kept in git"


def test_no_binary_is_tracked(tracked: list[Path]) -> None:
    assert {str(path) for path in tracked if path.suffix in BINARY} == SHIPPED
    assert not [str(path) for path in tracked if path.suffix in (".png", ".jpg") and str(path) not in PICTURES]


def test_git_ignores_binaries(tracked: list[Path]) -> None:
    names = [f"x/thing{suffix}" for suffix in sorted(BINARY - {".gz"})] + ["thing.tar.gz"]
    checked = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.stdout.split() == names


def matches(pattern: re.Pattern[str], paths: Iterable[Path]) -> dict[str, set[str]]:
    """File -> what of it the pattern matches (its group, where it has one)."""
    texts = {str(path): (ROOT / path).read_text(encoding="utf-8", errors="ignore") for path in paths}
    return {name: set(pattern.findall(text)) for name, text in texts.items() if pattern.search(text)}


def test_no_file_names_a_place_on_somebodys_machine(tracked: list[Path]) -> None:
    own = Path(__file__).relative_to(ROOT)
    assert not matches(HOME, (path for path in tracked if path != own and str(path) not in FOREIGN))


def test_every_host_is_cited_or_an_example(tracked: list[Path]) -> None:
    """But for tests, which take addresses apart."""
    by_file = matches(
        HOST, (path for path in tracked if path.suffix not in (".png", ".jpg") and path.parts[0] != "tests")
    )
    unknown = {name: hosts - EXAMPLES - CITED for name, hosts in by_file.items() if hosts - EXAMPLES - CITED}
    assert not unknown, f"{unknown}: cite a public page in CITED, or take an example of EXAMPLES"
    assert set().union(*by_file.values()) >= CITED, "a host that nothing cites any more stands in CITED"


def test_the_patterns_match_what_they_are_for() -> None:
    assert HOME.findall("see /home/me/runs and runs/home/x, https://a.org/tmp/x") == ["/home/me"]
    assert HOST.findall("http://u:secret@cam/1 and rtsp://camera:554/s, https://{host}/") == ["cam", "camera"]
