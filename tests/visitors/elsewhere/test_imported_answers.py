"""Tests of how a visitor's answer to another consent tool is taken over, on raw messages."""

from __future__ import annotations

import hashlib
import logging
import tomllib
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, PolicyError
from cookie_consent.decision.decision import CONSENT_LIFETIME
from cookie_consent.ledgers.memory import MemoryLedger
from tests.support.asgi import (
    NOW,
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    bodies,
    install,
    page_app,
    reply_app,
    response_to,
)
from tests.support.asgi import scope as request_scope
from tests.support.policies import KEY, policy_of

POSTED = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
HTML = [("accept", "text/html,*/*;q=0.8"), ("user-agent", PHONE), ("sec-fetch-dest", "document")]
IMPORTS = """
[imports.cookiebot]
purposes = { analytics = "statistics", media = ["preferences", "marketing"] }
"""
GRANTED = (
    "{stamp:%27oJ35SLjk==%27%2Cnecessary:true%2Cpreferences:true%2Cstatistics:true%2Cmarketing:true"
    f"%2Cmethod:%27explicit%27%2Cver:1%2Cutc:{int(NOW) - 86_400}000%2Cregion:%27de%27}}"
)
REFUSED = GRANTED.replace("preferences:true", "preferences:false").replace("statistics:true", "statistics:false")
PARTLY = GRANTED.replace("preferences:true", "preferences:false")
OURS, THEIRS = "__Host-consent", "CookieConsent"


def site(app: ASGIApp | None = None, imports: str = IMPORTS, **options: Any) -> ConsentMiddleware:
    """Return a site that takes answers over."""
    return install(app or page_app(), SITE + imports, **{"clock": Clock(), **options})


def visitor(value: str, app: ASGIApp | None = None, headers: Fields = HTML, **options: Any) -> Visitor:
    """Return a visitor who answered another tool."""
    came = Visitor(site(app, **options), headers)
    came.jar[THEIRS] = value
    return came


def expiries(reply: Reply) -> list[str]:
    return [line for line in reply.all("set-cookie") if line.startswith(f"{THEIRS}=;")]


def test_answer_is_signed_as_ours_and_the_other_cookie_is_expired() -> None:
    came = visitor(GRANTED)
    reply = came.get()
    assert reply.set_cookies.keys() == {OURS, THEIRS}
    assert [line.partition("Path=/")[2] for line in expiries(reply)] == ["; Secure", "; Domain=site.example; Secure"]
    assert all("Max-Age=0" in line for line in expiries(reply))
    assert came.jar.keys() == {OURS}
    state = came.state()
    assert (state["source"], state["status"]) == ("imported", "granted")
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True}
    assert state["decided_at"] == "2025-06-14T15:06:40Z"
    # It happens once.
    assert came.get().all("set-cookie") == []


def test_the_same_page_already_follows_the_answer() -> None:
    seen: list[list[str]] = []
    came = visitor(GRANTED, reply_app(PAGE, "text/html", reads=["media"], seen=seen, sets=["player=1; Max-Age=60"]))
    reply = came.get()
    assert "refuse_all" not in reply.text
    assert "player" in reply.set_cookies
    ((cookies,),) = seen
    assert cookies.startswith(f"{OURS}=")
    assert THEIRS not in cookies
    # A cache must not give this page, with this visitor's cookies, to others.
    assert reply.get("cache-control") == "private"
    assert "Cookie" in reply.get("vary")


def test_refusal_is_a_refusal_here_and_not_asked_again() -> None:
    came = visitor(REFUSED, page_app(sets=["player=1"]))
    came.jar["_ga"] = "GA1.1.1"
    reply = came.get()
    assert "refuse_all" not in reply.text
    assert "player" not in reply.set_cookies
    assert "_ga" not in came.jar  # as after any refusal
    assert came.state()["status"] == "refused"


def test_what_was_refused_in_part_or_not_mapped_is_not_granted() -> None:
    came = visitor(PARTLY)
    came.get()
    assert came.state()["purposes"] == {"necessary": True, "analytics": True, "media": False}
    came = visitor(GRANTED, imports='[imports.cookiebot]\npurposes = { media = "marketing" }')
    assert "refuse_all" in came.get().text
    state = came.state()
    assert (state["purposes"]["analytics"], state["should_ask"]) == (False, True)


@pytest.mark.parametrize("value", ["-1", "broken", GRANTED.replace("explicit", "implied")])
def test_unclear_cookie_answers_nothing_and_is_expired(value: str) -> None:
    came = visitor(value)
    reply = came.get()
    assert reply.set_cookies.keys() == {THEIRS}
    assert "refuse_all" in reply.text
    assert came.state()["status"] == "unknown"


def test_answer_older_than_its_lifetime_is_asked_again() -> None:
    clock = Clock(NOW + CONSENT_LIFETIME.total_seconds())
    came = visitor(GRANTED, clock=clock)
    assert "refuse_all" in came.get().text
    assert came.jar == {}


def test_answer_of_ours_counts_more_and_the_other_cookie_is_expired() -> None:
    came = visitor("-1")
    came.refuse()
    assert came.jar.keys() == {OURS, THEIRS}  # only a page expires it
    came.jar[THEIRS] = GRANTED
    reply = came.get()
    assert reply.set_cookies.keys() == {THEIRS}
    assert came.state()["status"] == "refused"
    assert came.state()["source"] == "api"


def test_global_privacy_control_wins() -> None:
    came = visitor(GRANTED, headers=[*HTML, ("sec-gpc", "1")])
    came.get()
    state = came.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": False}


def test_refusal_of_a_service_wins() -> None:
    came = visitor(GRANTED, page_app(sets=["_ga=1"]))
    assert "_ga" not in came.get("/whois").set_cookies
    assert came.state()["purposes"]["analytics"] is True


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", HTML),
        ("HEAD", HTML),
        ("GET", [("accept", "image/png"), ("user-agent", PHONE)]),
        ("GET", [*HTML[:2], ("sec-fetch-dest", "iframe")]),
        ("GET", [*HTML[:2], ("sec-fetch-dest", "empty")]),
        ("GET", [*HTML, ("sec-purpose", "prefetch")]),
    ],
)
def test_only_a_page_that_the_visitor_opens_takes_it_over(method: str, headers: Fields) -> None:
    seen: list[list[str]] = []
    came = visitor(GRANTED, reply_app(PAGE, "text/html", seen=seen), headers)
    assert came.request(method, "/").all("set-cookie") == []
    assert seen == [[]]  # the app does not see the other cookie either
    assert came.jar == {THEIRS: GRANTED}


def test_app_reads_and_sets_no_cookie_of_another_tool(caplog: pytest.LogCaptureFixture) -> None:
    came = visitor(GRANTED, reply_app(sets=[f"{THEIRS}=forged"]), [("accept", "text/css")])
    with caplog.at_level(logging.WARNING):
        assert came.get().all("set-cookie") == []
    assert caplog.messages == [
        f"The cookie \"{THEIRS}\" was held back: it is the consent layer's own. Give the app's cookie another name."
    ]


def test_ledger_has_the_tool_and_a_digest_as_proof() -> None:
    ledger = MemoryLedger()
    came = visitor(GRANTED, ledger=ledger)
    came.get()
    (record,) = ledger.kept
    assert (record["source"], record["event"], record["imported_from"]) == ("imported", "granted", "cookiebot")
    assert record["imported_sha256"] == hashlib.sha256(GRANTED.encode()).hexdigest()
    assert record["decided_at"] == "2025-06-14T15:06:40Z"
    assert (record["text"], record["surface"]) == (None, None)
    assert "oJ35SLjk" not in str(record)
    # A withdrawal is the next record of the same visitor.
    came.refuse()
    assert [stored["event"] for stored in ledger.kept] == ["granted", "withdrawn"]
    assert {stored["consent_id"] for stored in ledger.kept} == {record["consent_id"]}
    (own,) = [entry for entry in came.get(f"{PREFIX}/export").json["consent_records"] if entry["event"] == "granted"]
    assert own["imported_from"] == "cookiebot"


def test_refusal_leaves_no_identifier() -> None:
    ledger = MemoryLedger()
    visitor(REFUSED.replace("marketing:true", "marketing:false"), ledger=ledger).get()
    (record,) = ledger.kept
    assert (record["imported_from"], record["consent_id"]) == ("cookiebot", None)
    assert "imported_sha256" not in record


class _BrokenLedger(MemoryLedger):
    async def append(self, entry: Any) -> Any:
        raise OSError("the disk is full")


def test_answer_that_cannot_be_recorded_is_not_taken_over_and_tried_again() -> None:
    came = visitor(GRANTED, ledger=_BrokenLedger())
    reply = came.get()
    assert reply.all("set-cookie") == []
    assert "refuse_all" in reply.text
    assert came.jar == {THEIRS: GRANTED}


@pytest.mark.parametrize("in_same_browser", [True, False])
def test_answer_that_is_given_while_the_page_is_made_is_not_replaced(in_same_browser: bool) -> None:
    cookies = [("cookie", f"{THEIRS}={GRANTED if in_same_browser else PARTLY}")]

    async def slow_page(scope: Scope, receive: Receive, send: Send) -> None:
        """A page during which somebody answers in another tab, or another visitor does."""
        request = request_scope("POST", PREFIX, [*HTML, *POSTED, *cookies])
        answered.append(await response_to(app, request, bodies(b'{"choice": "refuse_all"}')))
        await page(scope, receive, send)

    answered, page, app = list[Reply](), page_app(reads=["media"], sets=["player=1; Max-Age=60"]), site(slow_page)
    came = Visitor(app, HTML)
    came.jar[THEIRS] = GRANTED
    reply = came.get()
    assert OURS in answered[0].set_cookies
    assert (OURS in reply.set_cookies) == ("player" in reply.set_cookies) == (not in_same_browser)


def test_hosts_that_share_answers_share_an_imported_one() -> None:
    hosts = 'domain = "site.example"\nhosts = ["site.example", "shop.site.example"]\n'
    app = install(page_app(), SITE.replace("[site]\n", f"[site]\n{hosts}") + IMPORTS, clock=Clock())
    came = Visitor(app, HTML)
    came.jar[THEIRS] = GRANTED
    came.get(host="shop.site.example")
    assert came.jar.keys() == {"__Secure-consent"}
    assert came.get(host="site.example").all("set-cookie") == []
    assert came.state()["status"] == "granted"


def test_declared_place_of_the_cookie_is_expired() -> None:
    imports = IMPORTS + 'cookie = "cb"\npath = "/shop"\ndomain = ".site.example"\n'
    came = Visitor(site(imports=imports), HTML)
    came.jar["cb"] = "-1"
    reply = came.get("/shop/a")
    assert [line.partition("Path=")[2] for line in reply.all("set-cookie")] == [
        "/shop; Domain=site.example; Secure",
        "/shop; Secure",
    ]


def test_over_http_the_answer_is_taken_over_too() -> None:
    came = Visitor(site(), HTML, scheme="http")
    came.jar[THEIRS] = GRANTED
    came.get()
    assert came.jar.keys() == {"consent"}


def test_a_browser_that_keeps_sending_the_cookie_makes_no_second_record() -> None:
    ledger = MemoryLedger()
    came = visitor(GRANTED, ledger=ledger)
    came.get()
    came.jar[THEIRS] = GRANTED  # from a path or domain that we do not know
    came.get()
    assert len(ledger.kept) == 1


@pytest.mark.parametrize(
    ("imports", "error"),
    [
        ("[imports.cookiebott]\npurposes = { media = 'a' }", 'Did you mean "cookiebot"?'),
        ("[imports.cookiebot]", '[imports.cookiebot] key "purposes": the key is missing.'),
        ("[imports.cookiebot]\npurposes = {}", "nothing is mapped"),
        ("[imports.cookiebot]\npurposes = { media = [] }", '"media" is mapped to nothing'),
        ("[imports.cookiebot]\npurposes = { media = ' ' }", "the text is empty"),
        ("[imports.cookiebot]\npurposes = { media = 1 }", "1 is no text"),
        ("[imports.cookiebot]\npurposes = 'media'", "'media' maps no purposes"),
        ("[imports.cookiebot]\npurposes = { medias = 'a' }", 'there is no purpose "medias"'),
        ("[imports.cookiebot]\npurposes = { necessary = 'a' }", "what is necessary needs no answer"),
        (f"{IMPORTS}cookie = 'a b'", "'a b' is not valid here"),
        (f"{IMPORTS}path = 'a'", "'a' is no path"),
        (f"{IMPORTS}domain = 'a_b'", "'a_b' is not valid here"),
        (f"{IMPORTS}revision = '1'", "'1' is no whole number"),
        (f"{IMPORTS}revision = true", "True is no whole number"),
        (f"{IMPORTS}revision = 1", "only cookies of vanilla-cookieconsent name a revision"),
        (f"{IMPORTS}cookie = 'consent'", "this is the name of one of our own cookies"),
        (f"{IMPORTS}[imports.klaro]\ncookie = 'CookieConsent'\npurposes = {{ media = 'a' }}", "declared twice"),
    ],
)
def test_a_wrong_import_stops_the_start(imports: str, error: str) -> None:
    with pytest.raises(PolicyError) as caught:
        ConsentMiddleware(page_app(), policy_of(tomllib.loads(SITE + imports)), KEY)
    assert error in str(caught.value)


def test_imports_change_no_material_fact_and_survive_a_document() -> None:
    policy = policy_of(tomllib.loads(SITE + IMPORTS))
    assert "imports" not in policy_of(tomllib.loads(SITE)).document()
    assert type(policy).from_document(policy.document()).version == policy.version
