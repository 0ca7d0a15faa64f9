"""Tests of the text of a form as the ledger keeps it, and of its return years later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from cookie_consent.base.clock import rfc3339
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.record import State
from cookie_consent.decision.tokens import Signer
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.pages.assets import assets
from cookie_consent.pages.context import QuestionOptions
from cookie_consent.pages.evidence import explain, hash_sources, render_evidence
from cookie_consent.pages.pages import CARD_SALT, NOTHING_KEPT, Pages
from cookie_consent.policy.policy import card_of
from tests.support.asgi import run, without_form_ids
from tests.support.policies import KEY, NOW, consent_record, full_policy_data, policy_of, refusing_record

POLICY = policy_of(full_policy_data())
PAGES = Pages(prefix="/privacy-choices")
WHERE: dict[str, Any] = {"base": "/privacy-choices", "language": "en"}
DAY = 86_400
MAPS = card_of(POLICY, "example-maps")
MAP = POLICY.features[0]
PARTIAL = consent_record(POLICY, {"analytics": State.GRANTED})


class Texts(MemoryLedger):
    """A ledger with two texts."""

    def __init__(self, **texts: str) -> None:
        super().__init__()
        self._texts_by_name = texts

    async def text(self, digest: str) -> str | None:
        return self._texts_by_name.get(digest)


def ask(decision: Decision, **details: Any) -> str:
    return PAGES.banner(decision, next_path="", **WHERE, options=QuestionOptions(**details)).decode()


SURFACES: dict[str, tuple[str, dict[str, Any], Callable[..., str]]] = {
    "banner": ("banner", {}, ask),
    "again": ("again", {}, lambda decision: ask(decision, again=True)),
    "settings": (
        "settings",
        {"notice": "erased", "counts_on": (), "own_cookies": ()},
        lambda decision, **details: PAGES.settings(decision, kept=NOTHING_KEPT, **WHERE, **details),
    ),
    "opt_out": ("opt_out", {}, lambda decision: PAGES.page("do_not_sell.html", decision, **WHERE)),
    "box": ("box", {"feature": MAP}, lambda decision, **details: PAGES.box(decision, next_path="", **WHERE, **details)),
    "page": (
        "page",
        {"feature": MAP, "missing": ("media",)},
        lambda decision, **details: PAGES.unavailable(decision, next_path="", **WHERE, **details),
    ),
    "page without a name": (
        "box",
        {"feature": None, "missing": ("media",)},
        lambda decision, **details: PAGES.unavailable(decision, next_path="", **WHERE, **details),
    ),
    "card": (
        "card",
        {"card": MAPS, "reloads": False, "title": "Offices"},
        lambda decision, **details: PAGES.card(decision, next_path="", **WHERE, **details),
    ),
}


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("record", [None, PARTIAL, refusing_record(POLICY)])
@pytest.mark.parametrize("is_older", [False, True])
def test_kept_text_comes_back_as_it_was_shown(name: str, record: Any, is_older: bool) -> None:
    surface, details, render = SURFACES[name]
    decision = decide(POLICY, record, frozenset(), NOW + DAY)
    before = None if record is None else record.decided_at
    newest = NOW + 500 if is_older and before else before
    kept = render_evidence(PAGES, decision, surface, details, **WHERE, answered_before=newest)
    assert (kept.surface, kept.build) == (surface, hash_sources())
    assert kept.feature == (MAP.id if details.get("feature") else None)
    entry = {
        "text": "shown",
        "prevailing_text": "prevailing",
        "language": "en",
        "prevailing_language": "ja",
        "answered_before": None if newest is None else rfc3339(newest),
        "decided_at": rfc3339(NOW + DAY),
        "expires_at": rfc3339(NOW + 185 * DAY),
    }
    explained = run(explain(Texts(shown=kept.html, prevailing=kept.prevailing_html), entry))
    assert explained.html == without_form_ids(render(decision, **details)).replace("\0", "")
    assert "⟦" not in explained.html + explained.prevailing_html
    assert 'lang="ja"' in explained.prevailing_html


def test_dates_that_the_record_does_not_name_are_left_open_and_others_share_the_text() -> None:
    texts = set()
    for days in (0, 3):
        decision = decide(POLICY, replace(PARTIAL, decided_at=NOW + days * DAY), frozenset(), NOW + 5 * DAY)
        texts.add(
            render_evidence(PAGES, decision, *SURFACES["settings"][:2], **WHERE, answered_before=NOW + days * DAY)
        )
    (kept,) = texts
    entry = {"text": "shown", "prevailing_text": "x", "language": "en", "prevailing_language": "ja"}
    explained = run(explain(Texts(shown=kept.html), {**entry, "answered_before": None}))
    assert "Answered on …; valid until …." in explained.html
    assert explained.prevailing_html == ""
    assert run(explain(MemoryLedger(), {"text": None})) is None


def test_card_is_read_as_it_was_signed_and_not_otherwise() -> None:
    pages = Pages(prefix="/privacy-choices", signer=Signer(KEY, CARD_SALT))
    decision = decide(POLICY, None, frozenset(), NOW)
    html = pages.card(decision, card=MAPS, title='A "b" <c>', reloads=True, next_path="", **WHERE)
    mark = unescape(html.partition('name="card" value="')[2].partition('"')[0])
    assert pages.read_card(mark) == (MAPS.id, True, escape('A "b" <c>'))
    assert [pages.read_card(forged) for forged in ("", "maps 1 A", mark[:-1], f"x{mark}")] == [None] * 4
    assert PAGES.read_card(mark) is None


@pytest.mark.requirement("PC-05")
def test_build_is_hash_of_templates_and_assets() -> None:
    templates = sorted((Path(__file__).parents[2] / "cookie_consent" / "pages" / "templates").glob("*.html"))
    parts = [*(path.read_bytes() for path in templates), *(asset.content for asset in assets().values())]
    assert len(templates) > 8
    assert hash_sources() == hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
