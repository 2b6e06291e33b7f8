"""The detectors that there are by name: a preset each, in configs/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.errors import UserError, nearest
from pretrain.yaml_file import read_configuration

SECTIONS = ("bags", "detector", "objective", "optim")
"""What of a preset makes a detector; where its run lies, on which videos and seeds, is the comparison's."""
OURS = "ours"
"""What the others are compared with."""
COMPOSED = {"detector": {"composition": "which_when", "score_smoothing": 1.0}}
OWN = {"detector": {"composition": "none", "score_smoothing": 0}}
WAYS = {"composed": COMPOSED, "own": OWN}
"""After a plus: how scores are made of a detector's log odds, whatever its preset says."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A detector that people know."""

    preset: Path
    """As it is given to finetune."""
    about: str
    """Who published it, for a table."""


def _named(file: str, about: str) -> Named:
    return Named(preset=Path("configs") / file, about=about)


DETECTORS: dict[str, Named] = {
    OURS: _named("features.yaml", "the default of this project: composed scores, two terms"),
    "mil_ranking": _named("mil_ranking.yaml", "Sultani, Chen, Shah, CVPR 2018"),
    "rtfm": _named("rtfm.yaml", "Tian et al., ICCV 2021"),
    "ur_dmu": _named("ur_dmu.yaml", "Zhou, Yu, Yang, AAAI 2023"),
    "bn_wvad": _named("bn_wvad.yaml", "Zhou et al., 2023"),
    "vadclip": _named("vadclip.yaml", "after Wu et al., AAAI 2024: no text, learnt class embeddings"),
    "mgfn": _named("mgfn.yaml", "Chen et al., AAAI 2023"),
}
"""Name -> detector, in the order of the table."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One row of the comparison to be."""

    name: str
    """As it was asked for: `ur_dmu`, `ur_dmu+composed`, or the NAME of `NAME=FILE.yaml`."""
    about: str
    settings: dict[str, Any]
    """Of the preset, in its sections."""

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return self.name.replace("+", "-")


def choose(text: str) -> Choice:
    """The detector that somebody asks for. UserError: an unknown name or way, or a preset that cannot be read."""
    name, _, file = text.partition("=")
    plain, _, way = name.partition("+")
    if way and way not in WAYS:
        raise UserError(f"detectors: {text!r} ends in {way!r}{nearest(way, WAYS)} (known: {', '.join(WAYS)})")
    if not file and plain not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise UserError(f"detectors: {plain!r}{nearest(plain, DETECTORS)} (known: {known}; or NAME=FILE.yaml)")
    if not plain or not plain.replace("_", "").replace("-", "").isalnum():
        raise UserError(f"detectors: {text!r} has no name of letters, digits, '_' and '-' before '='")
    known_as = Named(preset=Path(file), about=file) if file else DETECTORS[plain]
    settings = {key: value for key, value in read_configuration(known_as.preset).items() if key in SECTIONS}
    return Choice(name=name, about=known_as.about, settings=_over(settings, WAYS.get(way, {})))


def _over(settings: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Sections with those of `more` on top."""
    return {key: {**settings.get(key, {}), **more.get(key, {})} for key in {**settings, **more}}
