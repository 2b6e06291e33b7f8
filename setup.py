"""The wheel: everything below one package, `anomaly_pretext`.

In a checkout the folders are packages of their own (`from pretrain.cli import parse`). Installed, such names would
stand beside everybody else's, so the wheel holds them as `anomaly_pretext.core.pretrain` and so on: as files are
copied, the prefix is put before the imports of each other, and commands are named as they are installed
(`anomaly-pretext detect` for `python scripts/detect.py`). Nothing else is changed, and no line moves.
`pip install --editable` leaves all as it is.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PACKAGE = "anomaly_pretext"
CORE = "core"
"""Of PACKAGE, where the folders lie: `anomaly_pretext.pretrain` is the function of that name."""
FOLDERS = ("pretext_tasks", "pretrain", "downstream", "demo", "scripts")
"""Top-level packages of the checkout that the wheel holds below PACKAGE and CORE."""
CONFIGS = "configs"
ROOT = Path(__file__).parent

_LAUNCHED = re.compile(
    r"\b((?:accelerate launch|torchrun)(?: -[\w-]+(?: (?:\d+|N))?)*) (?:scripts/(\w+)|(pretrain))\.py\b"
)
_SCRIPT = re.compile(r"(?:(?<=\\n)|\b)(?:python )?scripts/([a-z_]+)\.py\b")  # \n: a line of a text in the source
_PRETRAIN = re.compile(r"\b(?:python )?(?<![/\w.])pretrain\.py\b(?! shadows)")
_PROG = re.compile(r"\"([a-z_]+)\.py\"")


def installed_form(source: str, is_command: bool = False) -> str:
    """Source text of the checkout as it stands in the wheel. `is_command`: a script, whose own name is its command."""
    return _commands_named(_imports_prefixed(source), is_command)


def _imports_prefixed(source: str) -> str:
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            _replace(lines, node.lineno, "from ", f"from {PACKAGE}.{CORE}.")
        elif isinstance(node, ast.Import):
            for alias in filter(lambda alias: _is_ours(alias.name), node.names):
                if alias.asname is None or len(node.names) > 1:
                    raise SystemExit(f"import {alias.name}: write `from ... import`, or one `import ... as ...` a line")
                _replace(lines, node.lineno, "import ", f"import {PACKAGE}.{CORE}.")
    return "".join(lines)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in FOLDERS


def _replace(lines: list[str], number: int, old: str, new: str) -> None:
    lines[number - 1] = lines[number - 1].replace(old, new, 1)


def _commands_named(source: str, is_command: bool = False) -> str:
    def dashed(name: str) -> str:
        return name.replace("_", "-")

    source = _LAUNCHED.sub(lambda found: f"{found[1]} -m {PACKAGE} {dashed(found[2] or found[3])}", source)
    source = _SCRIPT.sub(lambda found: f"anomaly-pretext {dashed(found[1])}", source)
    source = _PRETRAIN.sub("anomaly-pretext pretrain", source)
    return _PROG.sub(lambda found: f'"anomaly-pretext {dashed(found[1])}"', source) if is_command else source


class BuildBelowOnePackage(build_py):
    """Copies as setuptools does, then puts the folders where they belong."""

    def run(self) -> None:
        """Build; an editable installation is built by setuptools alone."""
        built = Path(self.build_lib)
        if not self.editable_mode:  # what an earlier build left would be installed too
            shutil.rmtree(built, ignore_errors=True)
        super().run()
        if self.editable_mode:
            return
        core = built / PACKAGE / CORE
        core.mkdir()
        (core / "__init__.py").write_text('"""What the commands and the Python interface are made of."""\n')
        for name in FOLDERS:
            (built / name).rename(core / name)
        for path in sorted((built / PACKAGE).rglob("*.py")):
            text = installed_form(path.read_text(encoding="utf-8"), path.parent == core / "scripts")
            path.write_text(text, encoding="utf-8")
        (core / CONFIGS).mkdir()
        for path in sorted((ROOT / CONFIGS).glob("*.yaml")):
            (core / CONFIGS / path.name).write_text(_commands_named(path.read_text(encoding="utf-8")), encoding="utf-8")


class WheelOfOnePackage(bdist_wheel):
    """Says which package it installs."""

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        """Make the metadata."""
        super().egg2dist(egginfo_path, distinfo_path)
        Path(distinfo_path, "top_level.txt").write_text(f"{PACKAGE}\n", encoding="utf-8")


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildBelowOnePackage, "bdist_wheel": WheelOfOnePackage})
