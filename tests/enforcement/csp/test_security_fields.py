"""Tests of the header fields that limit browsers: what is sent where the app sends none, and with which nonce."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import requires
from tests.enforcement.csp.test_edit_csp import MAPS, RECIPIENTS, STATS
from tests.support.asgi import PAGE, PHONE, PREFIX, Fields, Reply, Visitor, install, page_app, reply_app

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
CSP, TRIAL = "content-security-policy", "content-security-policy-report-only"
NECESSARY = RECIPIENTS.replace('purpose = "media"\norigins', 'purpose = "necessary"\norigins')
SCRIPT, SVG = "text/javascript", "image/svg+xml"


def table(csp: str = "", **more: str) -> str:
    """Return a policy file with a table `security`."""
    rules = {"content_security_policy": csp, **more}
    return "\n".join([RECIPIENTS, "[security]", *(f'{key} = "{value}"' for key, value in rules.items() if value)])


def enforcing(app: ASGIApp | None = None, text: str = RECIPIENTS, **options: Any) -> Visitor:
    """Return a visitor of a site whose middleware sends a policy."""
    return Visitor(install(app or page_app(), text, **{"csp": "enforce", **options}), HTML)


def directives(reply: Reply, name: str = CSP) -> dict[str, set[str]]:
    """Return the sources in the only policy of a response by their directive."""
    (value,) = reply.all(name)
    return {words[0]: set(words[1:]) for words in map(str.split, value.split(";"))}


def asking_app(body: bytes = PAGE, headers: Fields = (), kind: str = "text/html") -> ASGIApp:
    """Return an app that prints the nonce of its policy."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonce = scope["state"]["consent"].nonce
        page = body.replace(b"<h1>", f'<script nonce="{nonce}"></script><h1>'.encode())
        await reply_app(page, kind, headers=headers)(scope, receive, send)

    return app


def printed_nonce(reply: Reply) -> str:
    found = re.search(r'<script nonce="([^"]+)"></script>', reply.text)
    assert found
    return found[1]


# A policy where the app sends none.


def test_policy_of_ours_names_recipients_only_once_allowed() -> None:
    visitor = enforcing()
    assert not re.search(f"{MAPS}|{STATS}", visitor.get().get(CSP))
    visitor.refuse()
    assert not re.search(f"{MAPS}|{STATS}", visitor.get().get(CSP))
    visitor.save(media=True)
    granted = directives(visitor.get())
    assert {name for name, sources in granted.items() if MAPS in sources} == {"frame-src", "img-src"}
    assert not any(STATS in sources for sources in granted.values())


def test_default_policy_covers_what_default_src_does_not() -> None:
    sent = directives(enforcing().get())
    assert sent["default-src"] == sent["form-action"] == sent["base-uri"] == {"'self'"}
    assert "'unsafe-inline'" not in sent.get("script-src", sent["default-src"])


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("default-src 'self'", {"form-action": {"'self'"}, "base-uri": {"'self'"}}),
        ("default-src 'self'; form-action *; base-uri https:", {"form-action": {"*"}, "base-uri": {"https:"}}),
        ("form-action 'none';", {"form-action": {"'none'"}, "base-uri": {"'self'"}}),
    ],
)
def test_policy_of_the_file_is_sent_and_completed(given: str, added: dict[str, set[str]]) -> None:
    sent = directives(Visitor(install(page_app(), table(given)), HTML).get())
    assert {name: sent[name] for name in ("form-action", "base-uri")} == added
    assert sent.get("default-src") == ({"'self'"} if "default" in given else None)


def test_form_may_be_sent_to_allowed_recipient() -> None:
    visitor = enforcing(text=RECIPIENTS.replace('["frame", "img"]', '["form"]'))
    visitor.accept()
    assert directives(visitor.get())["form-action"] == {"'self'", MAPS}


def test_policy_of_the_app_replaces_ours_and_is_edited() -> None:
    visitor = enforcing(page_app(headers=[(CSP, f"img-src {MAPS}")]))
    assert visitor.get().all(CSP) == ["img-src 'none'"]
    visitor.accept()
    assert visitor.get().all(CSP) == [f"img-src {MAPS}"]


def test_report_only_policy_of_the_app_does_not_replace_ours() -> None:
    reply = enforcing(page_app(headers=[(TRIAL, "img-src 'self'")])).get()
    assert "default-src" in directives(reply)
    assert reply.all(TRIAL) == ["img-src 'self'"]


@pytest.mark.parametrize(
    ("kind", "status", "has_policy"),
    [
        ("text/html", 200, True),
        ("TEXT/HTML; charset=utf-8", 404, True),
        ("application/xhtml+xml", 200, True),
        (SVG, 200, True),
        ("application/xml", 200, True),
        (SCRIPT, 200, True),
        ("application/javascript", 200, True),
        ("application/json-but-no", 200, True),
        ("multipart/x-mixed-replace", 200, True),
        ("", 200, True),
        ("x" * 300, 200, True),
        ("application/json", 200, False),
        ("application/problem+json; x=y", 400, False),
        ("text/plain", 200, False),
        ("text/css", 200, False),
        ("image/png", 200, False),
        ("font/woff2", 200, False),
        ("text/html", 302, False),
        ("text/html", 204, False),
    ],
)
def test_policy_is_sent_with_all_that_browsers_run(kind: str, status: int, has_policy: bool) -> None:
    reply = enforcing(reply_app(b"", kind, status)).get()
    assert bool(reply.all(CSP)) is has_policy
    assert bool(reply.all("x-dns-prefetch-control")) is has_policy


@pytest.mark.parametrize("kind", [SVG, SCRIPT, ""])
def test_workers_and_pictures_get_the_policy_of_somebody_who_allowed_nothing(kind: str) -> None:
    visitor = enforcing(reply_app(b"x", kind, headers=[("cache-control", "public")]))
    before = visitor.get()
    visitor.accept()
    after = visitor.get()
    assert after.all(CSP) == before.all(CSP)
    assert MAPS not in after.get(CSP)
    assert (after.get("cache-control"), after.get("vary")) == ("public", "")


def test_necessary_recipient_is_in_every_policy_of_ours() -> None:
    assert MAPS in enforcing(reply_app(b"x", SCRIPT), NECESSARY).get().get(CSP)
    assert MAPS in enforcing(text=NECESSARY).get().get(CSP)


def test_not_modified_page_gets_the_policy_of_now() -> None:
    visitor = enforcing(reply_app(b"", "", 304, headers=[("etag", '"1"')]))
    visitor.accept()
    assert MAPS in visitor.get().get(CSP)
    visitor.refuse()
    assert MAPS not in visitor.get().get(CSP)
    assert visitor.get().all(CSP)
    assert not Visitor(visitor.app, [("accept", "image/*")]).get().all(CSP)


def test_page_with_a_policy_of_ours_is_private_if_it_differs_between_visitors() -> None:
    app = page_app(headers=[("cache-control", "public, max-age=9")])
    reply = enforcing(app, inject=False).get()
    assert (reply.get("cache-control"), reply.get("vary")) == ("max-age=9, private", "Cookie, Sec-GPC, DNT")
    same = RECIPIENTS.replace('["frame", "img"]', "[]").replace('["connect"]', "[]")
    reply = enforcing(app, same, inject=False).get()
    assert (reply.get("cache-control"), reply.get("vary")) == ("public, max-age=9", "")
    assert reply.all(CSP)


@pytest.mark.parametrize("csp", ["enforce", "report"])
def test_page_that_withholds_origins_says_so_to_the_script(csp: str) -> None:
    """In report-only mode too: else browsers would report whatever a grant lets into the page as an incident."""
    visitor = enforcing(csp=csp)
    assert " data-reload " in visitor.get().text
    assert visitor.state()["edits_csp"] is True


def test_trial_withholds_nothing_if_it_leaves_the_policy_of_the_app() -> None:
    app = page_app(headers=[(CSP, "default-src 'none'")])
    assert " data-reload " not in enforcing(app, csp="report").get().text
    assert " data-reload " in enforcing(page_app(headers=[(CSP, f"img-src {MAPS}")]), csp="report").get().text


def test_page_that_explains_a_missing_purpose_has_the_policy_too() -> None:
    async def offices(request: Request) -> Response:
        raise AssertionError

    app = Starlette(routes=[Route("/", requires("media")(offices))])
    reply = enforcing(app).get()
    assert "Maps and videos" in reply.text
    assert directives(reply)["default-src"] == {"'self'"}


def test_pages_of_ours_keep_their_own_policy() -> None:
    visitor = enforcing()
    assert "'none'" in directives(visitor.get(PREFIX))["default-src"]


# Report-only.


def test_trial_sends_report_only_what_would_be_enforced() -> None:
    enforced, tried = enforcing(), enforcing(csp="report")
    for visitor in (enforced, tried):
        visitor.save(media=True)
    reply = tried.get()
    assert reply.all(TRIAL) == enforced.get().all(CSP)
    assert reply.all(CSP) == reply.all("x-dns-prefetch-control") == []


def test_trial_leaves_policy_of_the_app_and_reports_what_its_edit_would_forbid() -> None:
    visitor = enforcing(page_app(headers=[(CSP, f"img-src {MAPS}")]), csp="report")
    reply = visitor.get()
    assert reply.all(CSP) == [f"img-src {MAPS}"]
    assert directives(reply, TRIAL)["img-src"] == {"'none'"}
    assert directives(reply, TRIAL)["report-uri"] == {f"{PREFIX}/csp-reports"}
    visitor.save(media=True)
    assert visitor.get().all(TRIAL) == []


def test_reports_go_to_the_endpoint_below_the_prefix() -> None:
    secure = enforcing().get()
    assert directives(secure)["report-uri"] == {f"{PREFIX}/csp-reports"}
    assert directives(secure)["report-to"] == {"consent"}
    assert secure.all("reporting-endpoints") == [f'consent="{PREFIX}/csp-reports"']
    mounted = enforcing().get("/x", root_path="/a;b")
    assert directives(mounted)["report-uri"] == {f"/a%3Bb{PREFIX}/csp-reports"}


def test_no_browser_is_told_of_an_endpoint_that_it_does_not_use_over_http() -> None:
    plain = Visitor(install(page_app(), RECIPIENTS, csp="enforce"), HTML, scheme="http").get()
    assert "report-to" not in directives(plain)
    assert "report-uri" in directives(plain)
    assert plain.all("reporting-endpoints") == []


def test_reports_of_a_policy_with_an_address_of_its_own_go_there() -> None:
    reply = Visitor(install(page_app(), table("default-src 'self'; report-uri /mine")), HTML).get()
    assert directives(reply)["report-uri"] == {"/mine"}
    assert reply.all("reporting-endpoints") == []


# Other fields.


@pytest.mark.parametrize("csp", [None, "edit", "enforce", "report"])
def test_further_fields_of_the_file_are_sent_where_the_app_sends_none(csp: str | None) -> None:
    text = table(permissions_policy="camera=(), geolocation=(self)", referrer_policy="same-origin")
    reply = enforcing(text=text, csp=csp).get()
    assert reply.all("permissions-policy") == ["camera=(), geolocation=(self)"]
    assert reply.all("referrer-policy") == ["same-origin"]
    own = [("Permissions-Policy", "usb=()"), ("referrer-policy", "no-referrer")]
    reply = enforcing(page_app(headers=own), text, csp=csp).get()
    assert (reply.all("permissions-policy"), reply.all("referrer-policy")) == (["usb=()"], ["no-referrer"])


def test_further_fields_alone_do_not_make_a_page_private() -> None:
    reply = enforcing(text=table(referrer_policy="same-origin"), csp=None, inject=False).get()
    assert (reply.get("cache-control"), reply.get("vary"), reply.all(CSP)) == ("", "", [])


# Connection-Allowlist.

ALLOWLIST = f'{RECIPIENTS}\n[security]\nconnection_allowlist = ["https://partner.example"]\n'


def test_connection_allowlist_names_the_origins_of_the_file_and_of_allowed_recipients() -> None:
    visitor = enforcing(text=ALLOWLIST, csp=None)
    fixed = 'response-origin "https://partner.example"'
    assert visitor.get().all("connection-allowlist") == [f"({fixed});redirects=allow"]
    visitor.save(media=True)
    reply = visitor.get()
    assert reply.all("connection-allowlist") == [f'({fixed} "{MAPS}");redirects=allow']
    assert "default-src" in directives(reply)
    assert reply.get("cache-control") == "private"


def test_connection_allowlist_of_the_app_replaces_ours() -> None:
    own = [("connection-allowlist", "(response-origin)")]
    assert enforcing(page_app(headers=own), ALLOWLIST, csp=None).get().all("connection-allowlist") == [own[0][1]]


def test_connection_allowlist_is_sent_beside_policy_of_the_app() -> None:
    reply = enforcing(page_app(headers=[(CSP, "img-src 'self'")]), ALLOWLIST, csp=None).get()
    assert (len(reply.all(CSP)), len(reply.all("connection-allowlist"))) == (1, 1)


def test_trial_sends_connection_allowlist_report_only() -> None:
    reply = enforcing(text=ALLOWLIST, csp="report").get()
    assert reply.all("connection-allowlist") == []
    assert len(reply.all("connection-allowlist-report-only")) == 1


# Nonces.


def test_nonce_is_made_when_the_app_asks_and_is_in_the_policy() -> None:
    visitor = enforcing(asking_app(), table("default-src 'self'"))
    replies = [visitor.get(), visitor.get()]
    first, second = map(printed_nonce, replies)
    assert first != second
    for reply, nonce in zip(replies, (first, second), strict=True):
        assert len(nonce) == 22
        for directive in ("script-src", "style-src"):
            assert f"'nonce-{nonce}'" in directives(reply)[directive]


def test_nonce_is_not_made_before_somebody_asks() -> None:
    assert "nonce" not in enforcing(text=table("default-src 'self'")).get().text
    assert "nonce" not in enforcing(text=table("default-src 'self'")).get().get(CSP)


def test_nonce_is_left_out_where_all_inline_code_is_allowed() -> None:
    reply = enforcing(asking_app(), table("default-src 'self'; script-src 'self' 'unsafe-inline'")).get()
    assert directives(reply)["script-src"] == {"'self'", "'unsafe-inline'"}
    assert f"'nonce-{printed_nonce(reply)}'" in directives(reply)["style-src"]


def test_nonce_is_added_to_policy_of_the_app_that_asked() -> None:
    reply = enforcing(asking_app(headers=[(CSP, "script-src 'none'; style-src 'unsafe-inline'")])).get()
    assert reply.all(CSP) == [f"script-src 'nonce-{printed_nonce(reply)}'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("options", [{}, {"inject": False}])
def test_no_cache_repeats_a_nonce(options: dict[str, Any]) -> None:
    fields = [
        ("cache-control", "public, max-age=9"),
        ("etag", '"1"'),
        ("last-modified", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ]
    for text in (RECIPIENTS, table("default-src 'self'")):
        visitor = enforcing(asking_app(headers=fields), text, **options)
        visitor.refuse()
        reply = visitor.get()
        assert "private" in reply.get("cache-control")
        assert "public" not in reply.get("cache-control")
        assert "Cookie" in reply.get("vary")
        assert reply.all("etag") == reply.all("last-modified") == []


@pytest.mark.parametrize("options", [{"csp": None}, {"csp": "edit"}])
def test_no_nonce_is_made_where_no_policy_of_ours_is_sent(options: dict[str, Any]) -> None:
    site = install(asking_app(), RECIPIENTS, inject=False, **options)
    assert '<script nonce="">' in Visitor(site, HTML).get().text


def test_nonce_that_the_app_sets_is_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["consent"].nonce = "abc"
        assert scope["state"]["consent"].nonce == "abc"
        await page_app(headers=[(CSP, "script-src 'nonce-abc'")])(scope, receive, send)

    reply = enforcing(app).get()
    assert reply.all(CSP) == ["script-src 'nonce-abc'"]
    assert 'nonce="abc"' in reply.text


def test_nonce_is_not_made_after_the_response_has_started() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        seen.append(scope["state"]["consent"].nonce)
        await send({"type": "http.response.body", "body": PAGE})

    assert "nonce" not in enforcing(app).get().get(CSP)
    assert seen == [""]


# Our own tags under our own policy.


@pytest.mark.parametrize("csp", ["default-src 'self'", "default-src 'none'; script-src 'self'; style-src 'none'"])
def test_stylesheet_of_the_banner_is_inline_by_its_hash(csp: str) -> None:
    visitor = enforcing(text=table(csp), settings_link=True)
    assert '<style class="pchoice-style"' in visitor.get().text
    visitor.refuse()
    assert "<style>" in visitor.get().text
    assert "nonce" not in visitor.get().get(CSP)


@pytest.mark.parametrize("csp", ["script-src 'strict-dynamic'; default-src 'self'", "script-src 'none'"])
def test_script_of_the_banner_gets_a_nonce_where_its_origin_does_not_suffice(csp: str) -> None:
    visitor = enforcing(text=table(csp))
    reply = visitor.get()
    nonce = re.search(r'<script type="module" async data-choices nonce="([^"]+)">', reply.text)
    assert nonce
    assert f"'nonce-{nonce[1]}'" in directives(reply)["script-src"]
    assert reply.get("cache-control") == "private"
    visitor.refuse()
    assert "nonce" not in visitor.get().get(CSP)


def test_only_pages_that_bring_our_script_get_a_nonce_for_it() -> None:
    strict = table("script-src 'strict-dynamic'")
    assert "nonce" not in enforcing(reply_app(b"x", SCRIPT), strict).get().get(CSP)
    own = enforcing(page_app(headers=[(CSP, "script-src 'self'")]), strict).get()
    assert own.all(CSP) == ["script-src 'self'"]
