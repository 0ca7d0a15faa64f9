"""Tests of consent in Jinja2 templates."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from jinja2 import Environment, FileSystemLoader, TemplateSyntaxError
from markupsafe import escape
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from cookie_consent.integrations.jinja import ConsentedExtension, consent_context
from tests.endpoints.test_do_not_sell import SELLS
from tests.support.asgi import PREFIX, SITE, Visitor, call, policy
from tests.support.browsers.browser import forms
from tests.support.policies import KEY

TEMPLATE = """<!doctype html><html lang="en"><head><title>Offices</title>{{ privacy_assets }}</head><body>
{% if consent.feature("map").available %}<div id="map"></div>{% else %}{{ consent_fallback("map") }}{% endif %}
<p>{{ consent.status }}</p><a href="{{ privacy_settings_url }}">Privacy</a>{{ privacy_settings_link }}</body></html>"""
HTML = [("accept", "text/html")]


@pytest.fixture
def site(tmp_path: Path) -> ASGIApp:
    (tmp_path / "offices.html").write_text(TEMPLATE)
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def offices(request: Request) -> Response:
        return templates.TemplateResponse(request, "offices.html")

    async def with_nonce(request: Request) -> Response:
        request.state.consent.nonce = request.query_params["nonce"]
        csp = f"script-src 'nonce-{request.state.consent.nonce}'"
        return templates.TemplateResponse(request, "offices.html", headers={"content-security-policy": csp})

    middleware = Middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY], settings_link=False)
    return Starlette(routes=[Route("/offices", offices), Route("/sealed", with_nonce)], middleware=[middleware])


def test_template_shows_fallback_or_feature(site: ASGIApp) -> None:
    visitor = Visitor(site)
    before = visitor.get("/offices").text
    assert "No map without consent." in before
    assert '<div id="map">' not in before
    (form,) = [form for form in forms(before) if ("choice", "grant") in form.buttons]
    assert visitor.send_form(form.pressed("grant")).get("location") == "/offices#pchoice-off-map"
    after = visitor.get("/offices").text
    assert '<div id="map">' in after
    assert "<p>partial</p>" in after
    assert not any(("choice", "grant") in form.buttons for form in forms(after))


def test_a_template_links_to_the_settings(site: ASGIApp) -> None:
    page = call(site, path="/offices", headers=[*HTML, ("accept-language", "ja")]).text
    assert f'<a href="{PREFIX}?language=ja">Privacy</a>' in page
    assert '?language=ja&amp;next=/offices" data-privacy-settings>プライバシー設定</a>' in page
    mounted = Starlette(routes=[Mount("/shop", site)])
    assert f'<a href="/shop{PREFIX}?language=en">Privacy</a>' in call(mounted, path="/shop/offices").text


@pytest.mark.parametrize("nonce", ["abc+/==", 'a"><b>', ""])
def test_template_tags_carry_nonce_of_app(site: ASGIApp, nonce: str) -> None:
    """The assets and the fallback have two tags each. The visitor has answered, so the page has no banner."""
    visitor = Visitor(site, HTML)
    visitor.refuse()
    text = visitor.get("/sealed", query=urlencode({"nonce": nonce}).encode()).text
    tags = re.findall(r"<(?:script|link)\b[^>]*>", text)
    assert [tag.count(" nonce=") for tag in tags] == [bool(nonce)] * 4
    assert text.count(f' nonce="{escape(nonce)}"') >= 4 * bool(nonce)
    assert "nonce" not in visitor.get("/offices").text


def test_template_without_middleware_raises_helpful_error() -> None:
    with pytest.raises(RuntimeError, match="add_middleware"):
        consent_context(Request({"type": "http", "headers": []}))


# The block and the function for content that waits for consent.

MAP = '<iframe src="https://maps.example.com/embed"></iframe>'
BLOCK = '{% consented "maps", preview="/static/map.png", title=place %}' + MAP + "{% endconsented %}"


def site_with(tmp_path: Path, template: str, **options: Any) -> ASGIApp:
    """Return a site with this template, which gets the variables "place" and "untrusted"."""
    (tmp_path / "page.html").write_text(f"<!doctype html><html lang=en><body>{template}</body></html>")
    (tmp_path / "macros.html").write_text("{% macro map() %}" + BLOCK + "{% endmacro %}")
    settings: dict[str, Any] = {"loader": FileSystemLoader(tmp_path), "autoescape": True, **options}
    environment = Environment(extensions=[ConsentedExtension], **settings)  # noqa: S701 (one test is without)
    templates = Jinja2Templates(env=environment, context_processors=[consent_context])
    context = {"place": "Our offices", "untrusted": "<img src=//evil.example>"}

    async def page(request: Request) -> Response:
        if environment.is_async:
            variables = {**context, **consent_context(request), "request": request}
            return HTMLResponse(await environment.get_template("page.html").render_async(variables))
        return templates.TemplateResponse(request, "page.html", dict(context))

    middleware = Middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY], settings_link=False)
    return Starlette(routes=[Route("/offices", page)], middleware=[middleware])


@pytest.mark.parametrize("options", [{}, {"autoescape": False}, {"enable_async": True}])
def test_block_prints_content_only_where_allowed(tmp_path: Path, options: dict[str, Any]) -> None:
    visitor = Visitor(site_with(tmp_path, BLOCK, **options), HTML)
    visitor.refuse()
    page = visitor.get("/offices").text
    assert "<p><b>Our offices</b></p>" in page
    assert 'src="/static/map.png"' in page
    assert f'<template data-purpose="media">{MAP}</template>' in page
    visitor.accept()
    assert visitor.get("/offices").text.endswith(f"<body>{MAP}</body></html>")


def test_block_takes_a_request_of_another_framework() -> None:
    environment = Environment(autoescape=True, extensions=[ConsentedExtension])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = SimpleNamespace(scope=scope)
        page = environment.from_string(BLOCK).render(consent_context(request), request=request, place="Our offices")
        await HTMLResponse(page)(scope, receive, send)

    visitor = Visitor(ConsentMiddleware(app, policy(), KEY, settings_link=False), HTML)
    visitor.refuse()
    assert "Our offices" in visitor.get("/offices").text
    visitor.accept()
    assert visitor.get("/offices").text == MAP


def test_block_may_be_in_macro_imported_with_context(tmp_path: Path) -> None:
    page = '{% from "macros.html" import map with context %}{{ map() }}'
    assert "Our offices" in call(site_with(tmp_path, page), path="/offices").text


def test_block_without_request_raises_helpful_error(tmp_path: Path) -> None:
    page = '{% from "macros.html" import map %}{{ map() }}'
    with pytest.raises(RuntimeError, match="with context"):
        call(site_with(tmp_path, page), path="/offices")


@pytest.mark.parametrize(
    "block", ["{% consented %}", '{% consented "maps" preview="/a" %}', '{% consented "maps", "/a" %}']
)
def test_malformed_block_is_a_syntax_error(tmp_path: Path, block: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        call(site_with(tmp_path, block + "{% endconsented %}"), path="/offices")


def test_function_prints_card_and_escapes_what_is_no_html(tmp_path: Path) -> None:
    page = call(site_with(tmp_path, '{{ consent_card("maps", untrusted, title="A map") }}'), path="/offices").text
    assert "<p><b>A map</b></p>" in page
    assert '<template data-purpose="media">&lt;img src=//evil.example&gt;</template>' in page
    page = call(site_with(tmp_path, "{{ consent_card('maps', '<b>1</b>' | safe) }}"), path="/offices").text
    assert '<template data-purpose="media"><b>1</b></template>' in page


def test_template_prints_what_vendors_are_told_first_in_a_page_without_injection(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><head>{{ privacy_vendors }}<title>t</title>")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    printed = {}
    for vendor in ("matomo", "hotjar", ""):
        text = f'{SITE}[vendors]\n{vendor} = "media"\n' if vendor else SITE
        own = Middleware(ConsentMiddleware, policy=policy(text), secret_keys=[KEY], inject=False)
        visitor = Visitor(Starlette(routes=[Route("/", page)], middleware=[own]), HTML)
        visitor.save(media=True)
        printed[vendor] = visitor.get().text.partition("<head>")[2].partition("<title>")[0]
    assert printed["hotjar"] == printed[""] == ""
    assert re.fullmatch(
        r"""<script data-vendors='{[^']*"holds":{"media":true}[^']*' src="[^"]*/vendors\.[^"]*"></script>""",
        printed["matomo"],
    )


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (
            SELLS,
            f'<a href="{PREFIX}/do-not-sell?language=en&amp;next=/">Do Not Sell or Share My Personal Information</a>',
        ),
        (SITE, ""),
    ],
)
def test_template_can_place_opt_out_link(text: str, link: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ privacy_opt_out_link }}")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def home(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    options: dict[str, Any] = {"policy": policy(text), "secret_keys": KEY, "inject": False}
    app = Starlette(routes=[Route("/", home)], middleware=[Middleware(ConsentMiddleware, **options)])
    assert call(app, headers=HTML).text == link
