"""Starts the site of `surroundings_site`, and says where its pages are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cookie_consent.cli.demo.site import LOOPBACK, started
from tests.support.browsers.visitor_browser import ROOT, Sites


@contextmanager
def surroundings(folder: Path) -> Iterator[Sites]:
    """Start the site; what it leaves lies in the folder."""
    with started("tests.support.sites.surroundings_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


def styled(name: str, layout: str = "corner") -> str:
    """Return where a page with a style is."""
    return f"{'' if layout == 'corner' else f'/{layout}'}/styled/{quote(name)}"


def governed(name: str) -> str:
    """Return where a page under a policy is."""
    return f"/governed/{quote(name)}"


def translated(tag: str) -> str:
    """Return where a page in a language is."""
    return f"/in/{tag}"
