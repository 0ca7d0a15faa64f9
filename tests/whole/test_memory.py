"""Tests that nothing long is kept of what clients send. The rooms test that no cache keeps many."""

from __future__ import annotations

import gc
from types import FrameType

import pytest
from starlette.types import ASGIApp

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, PREFIX, SITE, Visitor, install, page_app

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

MARK = "zq7"
VENDORS = """
[vendors]
google_consent_mode = { analytics_storage = "analytics" }
"""
"""Vendors are told in the head of each page where the endpoints are, which a client's mount path may begin."""


class DiscardingSink(MemorySink):
    """A sink that keeps nothing, so that texts found in memory are kept elsewhere."""

    def write(self, line: bytes) -> None:
        """Discard a record."""

    def count(self, line: bytes) -> None:
        """Discard a count."""


def holders_of_long_texts() -> list[str]:
    """Describe the objects in this process that hold a long text with the mark."""
    gc.unfreeze()  # otherwise gc.get_objects lacks the caches of modules
    gc.collect()
    found, left = [], [holder for holder in gc.get_objects() if type(holder) is not FrameType]
    while left:
        holder = left.pop()
        for held in gc.get_referents(holder):
            if type(held) in (tuple, dict) and not gc.is_tracked(held):  # gc.get_objects lacks untracked containers
                left.append(held)
            elif type(held) in (str, bytes) and len(held) > LONGEST_KEPT:
                text = held if isinstance(held, str) else held.decode("latin-1")
                found += [f"{type(holder)}: {text[:60]}"] * (MARK * 80 in text)
    return found


def visit_with_long_texts(site: ASGIApp, times: int) -> None:
    """Send long texts in each place where a client can put a text, several times: some caches keep repeated texts."""
    visitor = Visitor(site, [("user-agent", PHONE), ("sec-fetch-site", "same-origin")])
    visitor.accept()
    long, longer, html = MARK * 120, MARK * 2000, ("accept", "text/html")
    fields = [
        ("host", long),
        ("referer", f"https://site.example/{long}"),
        ("referer", f"https://{long}/"),
        ("user-agent", long),
        ("accept-language", f"{long},{'de,' * 90}"),
        ("cookie", f"{longer}=1; _ga={longer}; consent={longer}"),
        ("origin", f"https://{long}"),
        ("content-type", long),
    ]
    for _ in range(times):
        for field in fields:
            visitor.get("/", [field, html])
            visitor.get(f"{PREFIX}/question", [field])
            visitor.send_form(f"choice={long}", [field])
            visitor.post(
                {"name": "download", "path": f"/{long}", "properties": {"a": long[:200]}}, [field], f"{PREFIX}/events"
            )
        for query in (
            f"language={long}",
            f"page_language={long}",
            f"next=/{long}",
            f"page=/{long}",
            f"utm_source={long}",
        ):
            for path in ("/", PREFIX, f"{PREFIX}/question", f"{PREFIX}/state"):
                visitor.get(path, [html], query=query.encode())
                Visitor(site).get(path, [html], query=query.encode())
        for path in (f"/{long}", f"{PREFIX}/policy/{long}", f"{PREFIX}/{long}"):
            visitor.get(path, [html])
            Visitor(site).get(path, [html], root_path=f"/{long}")
        visitor.send_form(f"reference={long}&secret={long}", path=f"{PREFIX}/requests/look-up")
        visitor.get("/", [("sec-gpc", "1")] * 300)


@pytest.mark.parametrize("undeclared", ["hold", pytest.param("allow", marks=pytest.mark.full_matrix)])
def test_no_cache_keeps_long_text_of_a_client(undeclared: str) -> None:
    """This includes the caches of the standard library and of the packages that parse fields."""
    app = page_app(reads=["analytics"])
    kept = {"access_log": DiscardingSink(), "ledger": MemoryLedger()}
    site = install(app, SITE + VENDORS, **kept, settings_link=True, undeclared=undeclared)
    visit_with_long_texts(site, 3)
    assert holders_of_long_texts() == []
    held = [{(MARK * 120, 1): b"1"}]
    assert len(holders_of_long_texts()) == len(held)
