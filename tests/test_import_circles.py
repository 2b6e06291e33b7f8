"""No module needs one that needs it, wherever in the file it is imported, not even for its types."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.test_layers import LAYERS


def needed(path: Path) -> set[str]:
    """Absolute names that a file imports: modules, and names from packages, which may be modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def in_order(root: Path, folders: list[str]) -> list[str]:
    """All modules below `folders` of `root`, each after those it needs; CycleError names the modules of a circle."""
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    modules = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    return list(TopologicalSorter({name: needed(path) & set(modules) for name, path in modules.items()}).static_order())


def test_imports_go_in_no_circle() -> None:
    assert len(in_order(ROOT, LAYERS)) > 200


def test_the_test_notices_a_circle(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.py").write_text("def f():\n    from p import b\n")
    (tmp_path / "p" / "b.py").write_text("from p.a import f\n")
    with pytest.raises(CycleError):
        in_order(tmp_path, ["p"])
