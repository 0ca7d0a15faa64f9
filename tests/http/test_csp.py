"""Tests of csp="enforce": a policy of ours on every response, beside those of the app, with the allowed recipients."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.http.csp import DEFAULT_POLICY, read_policy, write_policy
from cookie_consent.policy.parts import Recipient
from tests.support.asgi import (
    PHONE,
    PREFIX,
    SITE,
    Reply,
    Visitor,
    install,
    page_app,
    reply_app,
)

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
CSP, TRIAL = "content-security-policy", "content-security-policy-report-only"
MAPS = "https://maps.example.com"
ORIGINS = f'origins = ["{MAPS}"]'
RECIPIENTS = SITE.replace(ORIGINS, f'{ORIGINS}\ndirectives = ["frame", "img"]')
NECESSARY = RECIPIENTS.replace('purpose = "media"\norigins', 'purpose = "necessary"\norigins')


def table(csp: str = "", **more: str) -> str:
    """Return a policy file with a table `security`."""
    rules = {"content_security_policy": csp, **more}
    return "\n".join([RECIPIENTS, "[security]", *(f'{key} = "{value}"' for key, value in rules.items() if value)])


def enforcing(app: ASGIApp | None = None, text: str = RECIPIENTS, **options: Any) -> Visitor:
    """Return a visitor of a site whose middleware sends a policy."""
    return Visitor(install(app or page_app(), text, **{"csp": "enforce", **options}), HTML)


def directives(reply: Reply) -> dict[str, str]:
    """Return the sources in the only policy of a response by their directive."""
    (value,) = reply.all(CSP)
    return {words[0]: " ".join(words[1:]) for words in map(str.split, value.split(";"))}


# On every response.


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((kind, 200) for kind in ("text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml", "text/css")),
        *((kind, 200) for kind in ("application/json", "image/svg+xml", "text/javascript", "", "x" * 300)),
        *(("text/html", status) for status in (204, 302, 304, 404, 500)),
    ],
)
def test_every_response_has_the_policy_whatever_its_type(kind: str, status: int) -> None:
    reply = enforcing(reply_app(b"", kind, status=status)).get()
    assert reply.all(CSP) == [DEFAULT_POLICY]
    assert reply.get("x-dns-prefetch-control") == "off"


@pytest.mark.requirement("CSP-06", "CSP-11")
@pytest.mark.parametrize("app_sends", ["frame-ancestors 'none'", "default-src *", "script-src 'nonce-abc'", ""])
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_policies_of_the_app_stay_as_they_are(app_sends: str, kind: str) -> None:
    visitor = enforcing(reply_app(b"<!doctype html><body>", kind, headers=[(CSP, app_sends), (TRIAL, app_sends)]))
    for _ in range(2):
        reply = visitor.get()
        assert reply.all(TRIAL) == [app_sends]
        assert reply.all(CSP)[0] == app_sends
        assert reply.all(CSP)[1].startswith("default-src 'self'")
        visitor.accept()


@pytest.mark.parametrize("path", ["", "/state", "/policy", "/unknown", "/question", "/gated.js", "/receipt"])
def test_our_own_responses_have_the_policy_too(path: str) -> None:
    visitor = enforcing()
    visitor.accept()
    reply = visitor.get(PREFIX + path)
    assert reply.all(CSP)[-1] == DEFAULT_POLICY
    assert visitor.post({"choice": "unknown"}).all(CSP) == [DEFAULT_POLICY]


def test_nothing_is_sent_without_the_option_and_without_a_policy_in_the_file() -> None:
    assert enforcing(csp=None).get().all(CSP) == []
    assert enforcing(csp=None, text=table("default-src 'self'")).get().all(CSP) != []


@pytest.mark.parametrize("option", ["edit", "report", "on", True, 0])
def test_other_value_of_the_option_is_an_error(option: object) -> None:
    with pytest.raises(ValueError, match=r'csp: .* Write None or "enforce", which sends a policy of ours beside'):
        install(csp=option)


# What is in it.


@pytest.mark.requirement("CSP-03")
def test_policy_names_recipients_only_once_allowed() -> None:
    visitor = enforcing()
    assert MAPS not in visitor.get().get(CSP)
    visitor.refuse()
    assert MAPS not in visitor.get().get(CSP)
    visitor.save(media=True)
    granted = directives(visitor.get())
    assert granted["frame-src"] == granted["img-src"] == f"'self' 'unsafe-inline' 'unsafe-eval' data: blob: {MAPS}"
    assert {name for name, sources in granted.items() if MAPS in sources} == {"frame-src", "img-src"}
    visitor.refuse()
    assert MAPS not in visitor.get().get(CSP)


def test_recipient_of_what_is_necessary_is_allowed_everywhere() -> None:
    visitor = enforcing(reply_app(b"{}", "application/json"), NECESSARY)
    assert MAPS in visitor.get().get(CSP)
    assert visitor.get().all("vary") == []


def test_service_takes_recipients_away() -> None:
    visitor = enforcing(text=f"{RECIPIENTS}\n[services.whois.purposes.media]\nrefused = true\n")
    visitor.accept()
    assert MAPS in visitor.get().get(CSP)
    assert MAPS not in visitor.get("/whois").get(CSP)


@pytest.mark.parametrize(
    ("given", "directive", "expected"),
    [
        ("", "connect", f"connect-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: {MAPS}"),
        ("default-src 'none'", "img", f"img-src {MAPS}"),
        ("default-src 'self'; IMG-SRC 'None'", "img", f"img-src {MAPS}"),
        ("default-src 'self'; img-src https://maps.example.com", "img", f"img-src {MAPS}"),
        ("default-src 'none'; child-src 'self'", "frame", f"frame-src 'self' {MAPS}"),
        ("default-src 'none'; script-src 'self'", "worker", f"worker-src 'self' {MAPS}"),
        ("default-src 'none'; script-src 'self'", "script", f"script-src 'self' {MAPS}"),
        ("default-src 'none'; script-src-elem 'self'", "script", f"script-src-elem 'self' {MAPS}"),
        ("default-src 'self'; script-src 'none'", "child", f"frame-src 'self' {MAPS}; worker-src {MAPS}"),
        ("default-src 'self'", "form-action", f"form-action 'self' {MAPS}"),
        ("default-src 'self'", "object", f"object-src 'self' {MAPS}"),
        ("img-src 'self'; ;", "style", "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"),
    ],
)
def test_directive_of_recipient_starts_as_what_applies_in_its_place(given: str, directive: str, expected: str) -> None:
    recipient = Recipient(id="a", name="A", purpose="p", receives={}, origins=(MAPS,), directives=(directive,))
    assert expected in write_policy(read_policy(given), [recipient])


@pytest.mark.requirement("CSP-06")
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("default-src 'self'", "default-src 'self'; base-uri 'self'; form-action 'self'"),
        ("form-action *; base-uri *; default-src a.example", "form-action *; base-uri *; default-src a.example"),
        ("img-src 'self'", "img-src 'self'; " + DEFAULT_POLICY.replace("object-src 'none'; ", "")),
    ],
)  # fmt: skip
def test_policy_of_the_file_is_sent_and_completed(given: str, sent: str) -> None:
    assert enforcing(text=table(given)).get().all(CSP) == [sent]


# Caches.


# Further fields.


def test_fields_of_the_table_are_sent_where_the_app_sends_none() -> None:
    text = table(permissions_policy="camera=()", referrer_policy="origin")
    app = reply_app(b"{}", "application/json", headers=[("Referrer-Policy", "no-referrer")])
    for visitor in (enforcing(app, text, csp=None), enforcing(page_app(headers=[("Referrer-Policy", "x")]), text)):
        reply = visitor.get()
        assert reply.get("permissions-policy") == "camera=()"
        assert len(reply.all("referrer-policy")) == 1
    assert visitor.get(f"{PREFIX}/state").get("permissions-policy") == "camera=()"


# After a grant.


def needs_reload(reply: Reply) -> bool:
    tag = re.search(r'<section class="pchoice [^>]*>', reply.text)
    assert tag is not None
    return " data-reload " in tag[0]


@pytest.mark.requirement("CSP-04")
@pytest.mark.parametrize(("text", "csp", "reloads"), [
    (RECIPIENTS, "enforce", True), (RECIPIENTS, None, False), (SITE, "enforce", False), (NECESSARY, "enforce", False),
])  # fmt: skip
def test_grant_loads_a_page_again_whose_policy_holds_recipients(text: str, csp: str | None, reloads: bool) -> None:
    visitor = enforcing(text=text, csp=csp)
    assert [needs_reload(visitor.get()) for _ in range(3)] == [reloads] * 3
    assert visitor.state()["reloads"] is reloads


# For an app that writes a policy itself.


def test_app_gets_origins_of_allowed_recipients_for_a_policy_of_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sources = scope["state"]["consent"].sources
        policy = " ".join(["frame-src 'self'", *sources("frame-src"), *sources("connect-src"), *sources("form-action")])
        await page_app(headers=[(CSP, policy)])(scope, receive, send)

    visitor = enforcing(app, csp=None)
    page = visitor.get()
    assert page.all(CSP) == ["frame-src 'self'"]
    assert needs_reload(page)
    visitor.accept()
    assert visitor.get().all(CSP) == [f"frame-src 'self' {MAPS}"]
    assert visitor.get().get("vary").startswith("Cookie")


def test_unknown_directive_is_an_error_that_names_the_similar_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["consent"].sources("frames-src")

    with pytest.raises(LookupError, match=r'no directive "frames-src"\. Did you mean "frame-src"'):
        enforcing(app).get()
