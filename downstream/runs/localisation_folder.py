"""What scripts/localise.py leaves in a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalisationFolder:
    """Where anomalies are, as scripts/localise.py leaves it: within a run's folder, or elsewhere."""

    path: Path

    @property
    def document(self) -> Path:
        """All metrics."""
        return self.path / "localisation.json"

    @property
    def table(self) -> Path:
        """The main ones, as Markdown."""
        return self.path / "table.md"

    @property
    def strips(self) -> Path:
        """Folder of pictures."""
        return self.path / "strips"

    @property
    def films(self) -> Path:
        """Folder of films."""
        return self.path / "films"

    def boxes(self, detector: str) -> Path:
        """Box file of one detector: `seed-0`, or that of all seeds together."""
        return self.path / detector / "boxes.json"

    def film_of(self) -> dict[str, Path]:
        """Video name, with `/` as `_`, -> its film."""
        films = sorted(self.films.glob("*.mp4"))
        return {match[1]: film for film in films if (match := re.fullmatch(r"\d\d+-(.+)", film.stem))}
