"""Starts the site of `surroundings_site`, and returns the paths of its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.support.browsers.visitor_browser import ROOT, Sites
from tests.support.servers.child_site import LOOPBACK, started


@contextmanager
def surroundings_site(folder: Path) -> Iterator[Sites]:
    """Start the site, with its files in the folder."""
    with started("tests.support.sites.surroundings_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


def styled_page(name: str, layout: str = "corner") -> str:
    """Return the path of a page with a style."""
    return f"{'' if layout == 'corner' else f'/{layout}'}/styled/{quote(name)}"


def policy_page(name: str) -> str:
    """Return the path of a page under a Content-Security-Policy."""
    return f"/governed/{quote(name)}"


def translated_page(tag: str) -> str:
    """Return the path of a page in a language."""
    return f"/in/{tag}"


def ending_page(name: str, language: str = "en") -> str:
    """Return the path of a page of several parts, by whose end the link to the settings is looked at."""
    return f"/ending/{quote(name)}?in={language}"
