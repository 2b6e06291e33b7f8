from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.downstream.report.browser import Browser, Page, running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One real browser for all tests of the page."""
    with running() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab. At its end: no error of any kind, and no request but for the page itself and data in it."""
    tab = browser.page()
    yield tab
    assert not tab.problems
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
    assert {url.partition("#")[0] for url in tab.requests if url.startswith("file:")} <= set(tab.opened)
