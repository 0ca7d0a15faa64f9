"""Tests of docs/special-cases.md: its examples do what the page says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.integrations.jinja import ConsentedExtension, consent_context
from tests.support.documentation import Step, answer, blocks, get, run, visit
from tests.support.policies import KEY, policy_of

PAGE = "docs/special-cases.md"
PAYMENT, CAPTCHA, VIDEO, VARIANT = blocks(PAGE, "toml")
CONTACT, HOME = blocks(PAGE, "python")
(FORM,) = blocks(PAGE, "html")
(CARD,) = blocks(PAGE, "html+jinja")
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}

pytestmark = pytest.mark.usefixtures("site_folder")


def policy_with(table: str) -> Policy:
    """Return the policy that `init` writes, with a table of the page beside its own."""
    written, shown = tomllib.loads(Path("consent.toml").read_text("utf-8")), tomllib.loads(table)
    joined = {key: [*written.get(key, []), *shown.get(key, [])] for key in ("cookies", "recipients")}
    return policy_of({**written, **joined, "purposes": {**written["purposes"], **shown.get("purposes", {})}})


def site(table: str, *routes: Route, **options: Any) -> Starlette:
    app = Starlette(routes=list(routes))
    app.add_middleware(ConsentMiddleware, policy=policy_with(table), secret_keys=[KEY], **options)
    return app


def send(**fields: str) -> Step:
    """Return the step of sending the form."""
    return "POST", "/contact", {"text": "Hello", **fields}


def test_payment_frame_loads_before_an_answer_and_visitors_read_of_it() -> None:
    async def pay(_: Request) -> Response:
        response = HTMLResponse("<!doctype html><html lang=en><title>Pay</title><body><p>Pay")
        response.set_cookie("__pay_mid", "1")
        return response

    paid, settings = visit(site(PAYMENT, Route("/pay", pay), csp="enforce"), get("/pay"), get("/privacy-choices"))
    limits = dict(part.split(" ", 1) for part in paid.headers["content-security-policy"].split("; "))
    for directive in ("script-src", "frame-src", "connect-src"):
        assert "https://js.pay.example" in limits[directive].split()
    assert "__pay_mid=1" in paid.headers["set-cookie"]
    assert "Example Pay Ltd." in settings.text


def test_form_works_without_a_captcha_and_asks_it_where_it_is_allowed() -> None:
    async def is_passed(token: str) -> bool:
        return token == "passed"

    async def form(_: Request) -> Response:
        return HTMLResponse(f"<!doctype html><html lang=en><title>Contact</title><body>{FORM}")

    contact = run(CONTACT, is_passed=is_passed)["contact"]
    app = site(CAPTCHA, Route("/", form), Route("/contact", contact, methods=["POST"]))
    passed = send(**{"g-recaptcha-response": "passed"})
    steps = [get(), send(website=""), send(website="x"), answer("accept_all"), send(website=""), passed]
    shown, *replies = visit(app, *steps, **SAME_ORIGIN)
    assert 'data-purpose="protection"' in shown.text
    assert "Google (reCAPTCHA)" in shown.text
    assert [reply.status_code for reply in replies] == [200, 403, 303, 403, 200]


def test_video_waits_behind_a_card(tmp_path: Path) -> None:
    (tmp_path / "film.html").write_text(f"<!doctype html><html lang=en><body>{CARD}</body></html>", encoding="utf-8")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])
    templates.env.add_extension(ConsentedExtension)

    async def film(request: Request) -> Response:
        response: Response = templates.TemplateResponse(request, "film.html")
        return response

    app = site(VIDEO, Route("/", film), csp="enforce")
    before, _, after = visit(app, get(), answer("accept_all"), get(), **SAME_ORIGIN)
    assert "Google (YouTube)" in before.text
    assert "youtube-nocookie" not in before.headers["content-security-policy"]
    assert '<iframe src="https://www.youtube-nocookie.com/embed/VIDEO"' in after.text
    assert "https://www.youtube-nocookie.com" in after.headers["content-security-policy"]


def test_variant_is_drawn_and_kept_for_those_who_allow_it_alone() -> None:
    app = site(VARIANT, Route("/", run(HOME)["home"]))
    before, _, first, again, _, refused = visit(
        app, get(), answer("accept_all"), get(), get(), answer("refuse_all"), get(), **SAME_ORIGIN
    )
    for reply in (before, refused):
        assert "Welcome, A" in reply.text
        assert "variant=" not in reply.headers.get("set-cookie", "")
    drawn = first.cookies["variant"]
    assert f"Welcome, {drawn}" in again.text
