"""README's tree names every module, once, in the folder where it lies."""

from __future__ import annotations

import re

from tests.paths import ROOT

SUMMED_UP = ("pretrain/backbones", "pretrain/data", "demo/world", "downstream/detection/writers", "benchmarks")
"""Folders of which the tree says in one line what is in them."""
NAME = re.compile(r"[a-z_0-9]+(?:/|\.py)")


def tree() -> list[str]:
    """Paths of the folders and modules in README's tree, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## Where things are")[1].split("```")[1]
    paths: list[str] = []
    folders: list[str] = []
    for line in block.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = NAME.findall(line.strip().split("  ")[0])
        if not re.match(r" *[a-z_0-9]+(/|\.py)", line):
            continue
        for name in names:
            paths.append("/".join([*folders[:depth], name.rstrip("/")]))
            if name.endswith("/"):
                folders[depth:] = [name.rstrip("/")]
    return paths


def test_every_module_stands_in_the_tree_once() -> None:
    named = tree()
    assert len(set(named)) == len(named), sorted(name for name in set(named) if named.count(name) > 1)
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("pretext_tasks", "pretrain", "downstream", "demo", "scripts", "anomaly_pretext")
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.startswith("__")
    }
    expected = {module for module in modules if not module.startswith(tuple(f"{folder}/" for folder in SUMMED_UP))}
    assert expected - set(named) == set(), "not in README's tree"
    gone = [name for name in named if not (ROOT / name).exists()]
    assert gone == [], "in README's tree, but not there"
