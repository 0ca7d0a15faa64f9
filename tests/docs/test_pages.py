"""Tests of the examples of the pages that a site's developers read: each does what its page says."""

from __future__ import annotations

import json
import logging
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from jinja2 import Environment
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.cli.init import starter
from cookie_consent.cli.main import FINDING, GOOD, main
from cookie_consent.http.csp import DEFAULT_POLICY
from cookie_consent.http.options import read_inject
from cookie_consent.integrations.jinja import consent_context
from tests.support.asgi import PAGE, PHONE, SITE, call, install, page_app, reply_app
from tests.support.documentation import BROWSER, ROOT, blocks, commands, run, visit
from tests.support.policies import KEY, policy_of

HOW_TO = "docs/how-to/"
HEAD = "<!doctype html><html lang=en><title>t</title><body>"
pytestmark = pytest.mark.usefixtures("site_folder")


def policy_with(*tables: str) -> Policy:
    """Return the policy that `init` writes, with the tables of a page beside its own or in place of them."""
    policy = tomllib.loads(starter(["en"]))
    for table in map(tomllib.loads, tables):
        for key, value in table.items():
            if isinstance(value, list):
                ids = {item.get("id", item.get("name")) for item in value}
                others = [item for item in policy[key] if item.get("id", item.get("name")) not in ids]
                policy[key] = [*others, *value]
            else:
                policy[key] = {**policy.get(key, {}), **value}
    return policy_of(policy)


def html(text: str, *cookies: str) -> Any:
    """Return an endpoint that shows a page, and sets cookies."""

    async def show(_: Request) -> Response:
        response = HTMLResponse(f"{HEAD}{text}")
        for name in cookies:
            response.set_cookie(name, "1")
        return response

    return show


def site(*cookies: str, **routes: Any) -> Starlette:
    """Return a site with a home page, which sets cookies, and other pages by their names."""
    named = [Route(f"/{name}", endpoint) for name, endpoint in routes.items()]
    return Starlette(routes=[Route("/", html("<h1>Welcome</h1>", *cookies)), *named])


def asking(app: Any, policy: Policy | str = "consent.toml", **options: Any) -> ConsentMiddleware:
    return ConsentMiddleware(app, policy, KEY, **options)


def rendering(templates: Jinja2Templates, template: str) -> Any:
    """Return an endpoint that renders a template of a page."""
    Path("templates").mkdir(exist_ok=True)
    Path("templates/page.html").write_text(f"{HEAD}{template}</body></html>", encoding="utf-8")

    async def show(request: Request) -> Response:
        response: Response = templates.TemplateResponse(request, "page.html")
        return response

    return show


def with_old_cookie(app: Any, cookie: str) -> dict[str, Any]:
    """Return what a site says of a visitor with the consent cookie of an earlier site."""
    consent = re.search(r"__Host-consent=[^;]+", cookie)
    assert consent
    (state,) = visit(app, "/privacy-choices/state", cookie=consent[0])
    return dict(state.json())


# What pages show before and after a yes.


def map_site() -> Any:
    name = f"{HOW_TO}show-a-map-only-with-consent.md"
    made, plain = blocks(name, "python")
    pages = {"card": rendering(run(made)["templates"], *blocks(name, "html+jinja")), "plain": run(plain)["offices"]}
    return asking(site(**pages), policy_with(*blocks(name, "toml")))


def cards_site() -> Any:
    made, film = blocks("docs/cards.md", "python")
    recipient = '[[recipients]]\nid = "{}"\nname = "Maps Inc."\npurpose = "media"\nreceives = {{ en = "IP address" }}\n'
    policy = policy_with(*map(recipient.format, ("example-maps", "example-films")))
    map_ = rendering(run(made)["templates"], *blocks("docs/cards.md", "html+jinja"))
    return asking(site(map=map_, film=run(film)["film"]), policy)


def video_site() -> Any:
    templates = run(blocks("docs/cards.md", "python")[0])["templates"]
    film = rendering(templates, *blocks("docs/special-cases.md", "html+jinja"))
    return asking(site(film=film), policy_with(blocks("docs/special-cases.md", "toml")[2]), csp="enforce")


def features_site() -> Any:
    names = run(blocks("docs/features.md", "python")[0])
    template = Environment(autoescape=True).from_string(blocks("docs/features.md", "html+jinja")[0])

    async def page(request: Request) -> Response:
        return HTMLResponse(template.render(consent_context(request)))

    return asking(site(offices=names["offices"], tour=names["tour"], page=page))


def fastapi_site() -> Any:
    _, fastapi, _, status = blocks("docs/features.md", "python")
    return run(status, **run(fastapi))["app"]


def variant_site() -> Any:
    home = run(blocks("docs/special-cases.md", "python")[1])["home"]
    return asking(site(home=home), policy_with(blocks("docs/special-cases.md", "toml")[3]))


def secured_site() -> Any:
    offices = run(*blocks("docs/security.md", "python"))["offices"]
    return asking(site(offices=offices), policy_with(*blocks("docs/security.md", "toml")))


MAP = '<iframe src="https://maps.example.com/embed"'
VIDEO = '<iframe src="https://www.youtube-nocookie.com/embed/VIDEO"'
OWN_POLICY = "content-security-policy: frame-src 'self'"
SHOWN = {
    "map in a template": (map_site, "/card", ["Always allow", "Example Maps Inc.", "!<iframe"], [MAP, "!Always"]),
    "map in code": (map_site, "/plain", ["The map is switched off.", "!<iframe"], [MAP]),
    "card in a template": (cards_site, "/map", ["<b>Map of our offices</b>", "!maps.example.com/embed"], [MAP]),
    "card in code": (
        cards_site,
        "/film",
        ["<b>Film of the house</b>", "!films.example"],
        ["films.example.com/embed"],
    ),
    "video": (video_site, "/film", ["Google (YouTube)", "!youtube-nocookie"], [VIDEO, "frame-src", "!Show once"]),
    "feature": (features_site, "/offices", ["The map is switched off."], ["the map"]),
    "endpoint": (features_site, "/tour", ["status: 200", 'value="grant"', "!the video"], ["the video"]),
    "template": (
        features_site,
        "/page",
        ["The map is switched off.", "!<iframe"],
        ["<iframe", "data-privacy-"],
    ),
    "dependency": (fastapi_site, "/tour", ["status: 200", "!tour.mp4"], ["tour.mp4"]),
    "decision": (fastapi_site, "/suggestions", ["for everybody"], ["for you"]),
    "status": (fastapi_site, "/film", ["status: 403"], ["status: 200", "film.mp4"]),
    "variant": (variant_site, "/home", ["Welcome, A", "!variant="], ["set-cookie: variant="]),
    "policy": (
        secured_site,
        "/offices",
        [OWN_POLICY, "!maps.example.com", "referrer-policy: strict-origin-when-cross-origin", "browsing-topics=()"],
        [f"{OWN_POLICY} https://maps.example.com", "frame-src 'self' https://maps.example.com\n"],
    ),
}
"""Example -> its site, its page, and what that has before and after a yes; "!" is before what it has not."""


@pytest.mark.parametrize(("make_site", "path", "before", "after"), SHOWN.values(), ids=SHOWN)
def test_page_shows_more_after_a_yes(make_site: Any, path: str, before: list[str], after: list[str]) -> None:
    off, _, on = visit(make_site(), path, "accept_all", path)
    for reply, parts in ((off, before), (on, after)):
        fields = "\n".join(f"{name}: {value}" for name, value in reply.headers.multi_items())
        # A browser shows and loads nothing of a <template>.
        text = re.sub("<template.*?</template>", "", reply.text, flags=re.DOTALL)
        seen = f"status: {reply.status_code}\n{fields}\n{text}"
        assert [part for part in parts if (part.removeprefix("!") in seen) == part.startswith("!")] == []


def test_page_on_security_shows_the_default_policy() -> None:
    assert " ".join(blocks("docs/security.md", "text")[0].split()) == DEFAULT_POLICY


def test_app_keeps_the_newest_choice_of_a_user() -> None:
    account = run(blocks("docs/features.md", "python")[2])["account"]
    app = asking(Starlette(routes=[Route("/account/{user}", account)]))
    before, _, laptop = visit(app, "/account/ann", "accept_all", "/account/ann")
    (phone,) = visit(app, "/account/ann")
    assert before.json() is None
    assert laptop.json()["purposes"]["media"] is True
    assert phone.json() == laptop.json()


# Special cases.


def test_payment_frame_loads_before_an_answer_and_visitors_read_of_it() -> None:
    app = asking(site("__pay_mid"), policy_with(blocks("docs/special-cases.md", "toml")[0]), csp="enforce")
    paid, settings = visit(app, "/", "/privacy-choices")
    limits = dict(part.split(" ", 1) for part in paid.headers["content-security-policy"].split("; "))
    for directive in ("script-src", "frame-src", "connect-src"):
        assert "https://js.pay.example" in limits[directive].split()
    assert "__pay_mid=1" in paid.headers["set-cookie"]
    assert "Example Pay Ltd." in settings.text


def test_form_works_without_a_captcha_and_asks_it_where_it_is_allowed() -> None:
    async def is_passed(token: str) -> bool:
        return token == "passed"

    contact = run(blocks("docs/special-cases.md", "python")[0], is_passed=is_passed)["contact"]
    (form,) = blocks("docs/special-cases.md", "html")
    routes = [Route("/", html(form)), Route("/contact", contact, methods=["POST"])]
    app = asking(Starlette(routes=routes), policy_with(blocks("docs/special-cases.md", "toml")[1]))
    by_person, by_program = (
        ("/contact", {"text": "Hello", "website": ""}),
        ("/contact", {"text": "Hello", "website": "x"}),
    )
    passed = ("/contact", {"text": "Hello", "g-recaptcha-response": "passed"})
    shown, *replies = visit(app, "/", by_person, by_program, "accept_all", by_person, passed)
    assert 'data-purpose="protection"' in shown.text
    assert "Protection of the form" in shown.text
    assert [reply.status_code for reply in replies] == [200, 403, 303, 403, 200]


# How-tos.


def test_each_start_forgets_all_answers_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks(f"{HOW_TO}ask-again-while-developing.md", "python")

    def asks_again() -> bool:
        first, second = site(), site()
        run(code, app=first)
        run(code, app=second)
        (answered,) = visit(first, "accept_all")
        return bool(with_old_cookie(second, answered.headers["set-cookie"])["should_ask"])

    assert not asks_again()
    monkeypatch.delenv("CONSENT_KEY")
    assert asks_again()


def test_answer_under_the_old_key_counts_until_the_key_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", "a new key of the tests, long enough too")
    (answered,) = visit(asking(site()), "accept_all")
    statuses = []
    for old in (KEY, "another key, which nobody has ever used"):
        monkeypatch.setenv("CONSENT_KEY_OLD", old)
        app = site()
        run(*blocks(f"{HOW_TO}replace-a-secret-key.md", "python"), app=app)
        statuses.append(with_old_cookie(app, answered.headers["set-cookie"])["status"])
    assert statuses == ["granted", "unknown"]


def test_policy_in_one_language_speaks_it_to_everybody() -> None:
    name = f"{HOW_TO}one-language-only.md"
    (command,) = commands(*blocks(name, "console"))
    assert main([*command[1:], "written.toml"]) == GOOD
    assert Policy.load("written.toml").site.languages == ("en",)
    (table,) = blocks(name, "toml")
    (home,) = visit(asking(site(), policy_of(tomllib.loads(table))), "/", **{"accept-language": "ja"})
    assert "Refuse all" in home.text
    assert 'lang="en"' in home.text


AUDITED = """from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware

HEAD = '<!doctype html><html lang="en"><head><title>Shop</title></head>'
FILM = '<iframe src="https://films.example/embed/1"></iframe>'


async def home(request: Request) -> Response:
    response = HTMLResponse(f"{HEAD}<body><h1>Shop</h1>{FILM}</body></html>")
    response.set_cookie("ab_test", "1")
    return response


app = Starlette(routes=[Route("/", home)])
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys="a key of the tests, long enough for it")
"""


def test_audit_finds_what_the_page_shows_and_own_tests_fail(
    site_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{HOW_TO}find-the-cookies-that-your-site-sets.md"
    (site_folder / "app.py").write_text(AUDITED, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "app", raising=False)
    (console,) = blocks(name, "console")
    assert main(console.splitlines()[1].split()[2:]) == FINDING
    printed = capsys.readouterr().out
    shown = console.partition("audit app:app\n")[2].strip()
    line = re.compile(r"(?<=localhost/:)\d+")
    assert line.sub("", printed).startswith(line.sub("", shown))
    with pytest.raises(AssertionError, match="ab_test"):
        run(*blocks(name, "python"))["test_site_and_policy_agree"]()


@pytest.mark.requirement("ST-04")
def test_undeclared_cookie_passes_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = asking(site("cart"), undeclared="allow")
    with caplog.at_level(logging.WARNING, "cookie_consent"):
        (home,) = visit(app, "/")
    assert "cart=1" in home.headers["set-cookie"]
    (shown,) = blocks(f"{HOW_TO}find-the-cookies-that-your-site-sets.md", "text")
    assert shown.strip() in [message.strip() for message in caplog.messages]


def test_answer_as_json_is_taken_and_gives_the_state() -> None:
    sent, received = map(json.loads, blocks(f"{HOW_TO}answer-by-json.md", "json"))
    client = TestClient(asking(site()), base_url="https://site.example")
    reply = client.post("/privacy-choices", json=sent, headers={"sec-fetch-site": "same-origin"})
    assert received.items() <= reply.json().items()
    assert client.get("/privacy-choices/state").json() == reply.json()
    assert client.post("/privacy-choices", json=sent, headers={"origin": "https://other.example"}).status_code == 403


def test_admin_is_left_out_by_paths_and_by_a_function(site_folder: Path) -> None:
    (site_folder / "consent.toml").write_text(SITE, encoding="utf-8")
    by_paths, by_function = blocks(f"{HOW_TO}leave-admin-out.md", "python")
    app = Starlette(routes=[Mount("/", page_app())])
    run(by_paths, app=app)
    assert [path for path in ("/admin/", "/docs", "/redoc", "/") if call(app, path=path).body != PAGE] == ["/"]
    app = Starlette(routes=[Mount("/", page_app())])
    run(by_function, app=app, HTTPConnection=HTTPConnection)
    browser = [("user-agent", PHONE), ("accept", "text/html")]
    assert call(app, headers=browser, host="example.jp").body != PAGE
    assert call(app, headers=browser, host="admin.example.jp").body == PAGE
    assert call(app, headers=[*browser, ("x-preview", "1")], host="example.jp").body == PAGE


def test_patterns_match_as_the_table_says() -> None:
    page = (ROOT / HOW_TO / "leave-admin-out.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([/*].*?)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for pattern, *cells in rows:
        is_left_out: Any = read_inject([pattern])
        assert [{is_left_out({}, path) for path in re.findall("`(.+?)`", cell)} for cell in cells] == [{True}, {False}]


# Guides.


@pytest.mark.slow
def test_app_of_the_first_five_minutes_does_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, test = blocks("docs/start.md", "python")
    app = run(code)["app"]
    seen = []
    with TestClient(app, headers={**BROWSER, "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"}) as client:
        for choice in ("", "refuse_all", "accept_all"):
            client.post("/privacy-choices", data={"choice": choice})
            page = client.get("/").text
            links = ">Privacy settings: refused<" in page
            seen.append(("refuse_all" in page, links, sorted(client.cookies.keys())))
    assert seen == [(True, False, []), (False, True, ["consent"]), (False, False, ["_ga", "consent", "visitor"])]
    run(test.replace("from app import app\n", ""), app=app)["test_cookie_needs_consent"]()
    (report,) = commands(blocks("docs/start.md", "console")[3])
    assert main(report[1:]) == GOOD
    assert "visitors" in capsys.readouterr().out
    assert Path("logs/access.counts.jsonl").read_text("utf-8")


@pytest.mark.parametrize(
    "policy",
    [blocks("README.md", "toml")[0], blocks("docs/policy.md", "toml")[0], starter(["en"])],
    ids=["small", "whole", "init"],
)
def test_app_of_the_readme_asks_holds_back_and_allows(site_folder: Path, policy: str) -> None:
    (site_folder / "consent.toml").write_text(policy, encoding="utf-8")
    app = run(*blocks("README.md", "python"))["app"]
    first, _, allowed, refusal, refused = visit(app, "/", "accept_all", "/", "refuse_all", "/")
    assert "refuse_all" in first.text
    assert "set-cookie" not in first.headers
    assert "_ga=1" in allowed.headers["set-cookie"]
    assert "_ga=; Max-Age=0" in refusal.headers["set-cookie"]
    assert "refuse_all" not in refused.text
    assert "set-cookie" not in refused.headers


def test_pages_for_shared_caches_are_the_same_for_everybody() -> None:
    app = site()
    run(*blocks("docs/caching.md", "python"), app=app, KEYS=[KEY])
    (page,) = visit(app, "/")
    assert "private" not in page.headers.get("cache-control", "")
    assert "vary" not in page.headers


def test_field_of_the_proxy_says_which_law_applies(site_folder: Path) -> None:
    policy = starter()
    text = blocks("docs/laws.md", "toml")[0] + policy[policy.index("[purposes.analytics]") :]
    (site_folder / "consent.toml").write_text(text, "utf-8")
    app = site()
    run(*blocks("docs/laws.md", "python"), app=app, KEYS=[KEY])
    states = [visit(app, "/privacy-choices/state", **{"cf-ipcountry": place})[0].json() for place in ("FR", "US")]
    assert [state["purposes"]["media"] for state in states] == [False, True]
    assert blocks("docs/laws.md", "nginx") == ["proxy_set_header X-Country $geoip2_country;\n"]


def test_counter_of_the_page_on_warnings_counts_held_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    run(blocks("docs/warnings.md", "python")[1])
    call(install(reply_app(sets=["_ga=1"]), SITE))
    sample = {"direction": "response", "reason": "analytics"}
    assert (registry.get_sample_value("cookie_consent_held_cookies_total", sample) or 0) >= 1
