"""The documentation as a site: every page is in it. That it builds without a warning, `make docs` says."""

from __future__ import annotations

import yaml

from tests.paths import ROOT


def pages(entries: object) -> set[str]:
    """Files of a navigation, however deep."""
    if isinstance(entries, str):
        return {entries}
    parts = entries.values() if isinstance(entries, dict) else entries
    return set().union(*map(pages, parts))  # type: ignore[call-overload]


def test_every_page_is_in_the_navigation_and_nothing_is_fetched() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert pages(site["nav"]) == {path.name for path in (ROOT / "docs").glob("*.md")}
    assert site["strict"] is True
    assert site["theme"]["font"] is False
