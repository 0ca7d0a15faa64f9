"""Tests of the banner: in which pages it is, in which language, and what the app sees meanwhile."""

from __future__ import annotations

import pytest

from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Reply,
    Visitor,
    call,
    install,
    page_app,
    policy,
    reply_app,
)
from tests.support.browsers.browser import forms
from tests.support.policies import text_of

HTML = [("accept", "text/html,*/*;q=0.8"), ("user-agent", PHONE)]


def has_banner(reply: Reply) -> bool:
    return b'value="refuse_all"' in reply.body


@pytest.mark.requirement("UI-10")
def test_banner_is_in_page_until_visitor_answers() -> None:
    visitor = Visitor(install(page_app()), HTML)
    first = visitor.get()
    assert has_banner(first)
    assert b"<h1>Hello</h1>" in first.body
    visitor.refuse()
    assert visitor.get().body == PAGE


@pytest.mark.requirement("ST-11", "UI-06")
def test_banner_buttons_look_alike_and_work_without_javascript() -> None:
    visitor = Visitor(install(page_app()), HTML)
    text = visitor.get("/there", query=b"a=b").text
    (form,) = forms(text)
    assert [value for _, value in form.buttons if value.endswith("_all")] == ["refuse_all", "accept_all"]
    classes = [line.partition('class="')[2].partition('"')[0] for line in text.splitlines() if '_all"' in line]
    assert len(set(classes)) == 1
    for choice, status in (("refuse_all", "refused"), ("accept_all", "granted")):
        answered = Visitor(visitor.app, HTML)
        reply = answered.send_form(form.pressed(choice))
        assert (reply.status, reply.get("location")) == (303, "/there?a=b#pchoice")
        assert (answered.state()["status"], answered.state()["source"]) == (status, "banner")


@pytest.mark.requirement("UI-12")
@pytest.mark.parametrize(
    ("page_language", "accepted", "language"),
    [("ja", "en", "ja"), ("en-GB", "ja", "en"), ("", "ja", "ja"), ("fr", "ja, en;q=0.1", "ja"), ("fr", "fr", "en")],
)
def test_banner_is_in_language_of_page_or_of_browser(page_language: str, accepted: str, language: str) -> None:
    html = PAGE.replace(b'lang="en"', f'lang="{page_language}"'.encode() if page_language else b"")
    reply = call(install(reply_app(html, "text/html; charset=utf-8")), headers=[*HTML, ("accept-language", accepted)])
    assert text_of(policy(), language, "refuse_all") in reply.text


@pytest.mark.requirement("UK-03")
def test_signals_covering_every_purpose_suppress_banner() -> None:
    assert has_banner(call(install(page_app()), headers=[*HTML, ("sec-gpc", "1")]))
    assert not has_banner(call(install(page_app()), headers=[*HTML, ("sec-gpc", "1"), ("dnt", "1")]))


def test_policy_without_purposes_has_no_banner() -> None:
    text = SITE[: SITE.index("[purposes.analytics]")]
    assert not has_banner(call(install(page_app(), text), headers=HTML))


def test_banner_on_service_page_omits_purposes_refused_by_service() -> None:
    text = call(install(page_app()), path="/whois/search", headers=HTML).text
    assert "Maps and videos" in text
    assert "Access tracing" not in text
    assert 'href="/whois/terms"' in text


# Visitors have to be able to read the policy before they answer.

WITH_POLICY_URL = SITE.replace('contact = "', 'policy_url = "/shop/privacy?for=all#cookies"\ncontact = "')


@pytest.mark.requirement("UI-14")
@pytest.mark.parametrize("path", ["/whois/terms", "/shop/privacy"])
def test_policy_page_linked_from_banner_has_no_banner(path: str) -> None:
    site = install(page_app(), WITH_POLICY_URL, settings_link=True)
    reply = call(site, path=path, query=b"a=b", headers=HTML)
    assert not has_banner(reply)
    assert reply.all("link") == []
    assert PAGE.decode().partition("</head>")[2].partition("</body>")[0] in reply.text
    assert "data-privacy-settings" in reply.text
    mount, _, rest = path.rpartition("/")
    assert not has_banner(call(site, path=path, root_path=mount, headers=HTML))
    assert not has_banner(call(site, path=f"/{rest}", root_path=mount, headers=HTML))


@pytest.mark.parametrize(
    "path", ["/", "/whois", "/whois/termsx", "/whois/terms/x", "/privacy", "/shop", "/whois/terms?for=all"]
)
def test_page_with_path_like_policy_page_has_banner(path: str) -> None:
    assert has_banner(call(install(page_app(), WITH_POLICY_URL), path=path, headers=HTML))
    assert has_banner(call(install(page_app(), WITH_POLICY_URL), path="/x/whois/terms", root_path="/x", headers=HTML))


def test_banner_form_posts_below_mount_path() -> None:
    text = call(install(page_app()), path="/shop/x", root_path="/shop", headers=HTML).text
    (form,) = forms(text)
    assert form.action == f"/shop{PREFIX}"
    assert ("next", "/shop/x#pchoice") in form.hidden


def test_redirect_without_cookie_leads_to_blocked_cookies_message() -> None:
    """The stylesheet shows the message as :target. A page without a banner has no such message."""
    visitor = Visitor(install(page_app()), HTML)
    (form,) = forms(visitor.get("/there").text)
    reply = visitor.send_form(form.pressed("accept_all"))
    path, _, fragment = reply.get("location").partition("#")
    assert f'id="{fragment}"' not in visitor.get(path).text
    visitor.jar.clear()
    again = visitor.get(path).text
    lost, asks = (text_of(policy(), "en", name) for name in ("cookies_blocked", "asks_again"))
    assert f'id="{fragment}" hidden>{lost}<noscript> {asks}</noscript></p>' in again


@pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
def test_layout_option_sets_layout_of_banner(layout: str) -> None:
    text = call(install(page_app(), layout=layout), headers=HTML).text
    question = call(install(layout=layout), path=f"{PREFIX}/question").text
    assert f'class="pchoice pchoice-{layout} pchoice-part"' in text
    assert ("<dialog" in text) == (layout == "modal")
    assert f'class="pchoice pchoice-{layout} pchoice-part"' in question


@pytest.mark.parametrize(
    "path", ['/"><script>', "/地図", "/a b", "/%", "/\x00", "/\\x", "//evil.example", "/" + "x" * 5000]
)
def test_hostile_path_redirects_within_the_site(path: str) -> None:
    visitor = Visitor(install(page_app()), HTML)
    reply = visitor.get(path, query=b'a="&b=\xff<')
    (form,) = forms(reply.text)
    assert b"<script>" not in reply.body.replace(b'<script type="module"', b"")
    location = visitor.send_form(form.pressed("refuse_all")).get("location")
    assert location.startswith("/")
    assert not location.startswith("//")
    assert "evil" not in location
