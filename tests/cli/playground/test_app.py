"""Tests of the playground's server: drafts, errors, previews, edits, and who may ask."""

from __future__ import annotations

import ast
import asyncio
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from cookie_consent.cli.playground.app import playground_app
from cookie_consent.cli.playground.drafts import LONGEST_POLICY, LONGEST_THEME, Draft
from cookie_consent.cli.playground.previews import MOST_KEPT, Preview, Previews
from cookie_consent.cli.playground.properties import PROPERTIES, themes
from cookie_consent.texts.catalog import shipped_languages
from tests.support.asgi import PHONE, Reply, Visitor, call
from tests.support.browsers.browser import forms

EXAMPLE = (files("cookie_consent.cli.playground") / "example.toml").read_text(encoding="utf-8")
HOST = "127.0.0.1:8000"
OWN = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")]
FRAMED = [("sec-fetch-dest", "iframe"), ("user-agent", PHONE), ("accept", "text/html")]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def app(tmp_path: Path) -> ASGIApp:
    return playground_app(EXAMPLE, tmp_path)


def post(app: ASGIApp, path: str, data: object, headers: Any = OWN) -> Reply:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return call(app, "POST", path, headers, body, scheme="http", host=HOST)


def show(app: ASGIApp, policy: str = EXAMPLE, **more: str) -> dict[str, Any]:
    reply = post(app, "/draft", {"policy": policy, **more})
    assert reply.status == 200, reply.text
    shown: dict[str, Any] = reply.json
    return shown


def page(app: ASGIApp, path: str, headers: Any = FRAMED, host: str = HOST) -> Reply:
    return call(app, "GET", path, headers, scheme="http", host=host)


# The page


def test_page_has_all_languages_properties_and_the_policy(app: ASGIApp) -> None:
    reply = page(app, "/")
    assert reply.status == 200
    assert "frame-ancestors 'none'" in reply.get("content-security-policy")
    assert "http" not in reply.get("content-security-policy")
    assert all(f'<option value="{tag}">' in reply.text for tag in shipped_languages())
    assert reply.text.count("data-property=") == len(PROPERTIES)
    assert "title = { en = &#34;Maps and videos&#34; }" in reply.text
    for name, media_type in (("playground.css", "text/css"), ("playground.js", "text/javascript")):
        assert page(app, f"/{name}").get("content-type").startswith(media_type)


def test_properties_are_those_of_the_documentation() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert all(f"`--pchoice-{prop.name}` | `{prop.default}`" in text for prop in PROPERTIES)
    style = (ROOT / "static" / "choices.css").read_text(encoding="utf-8")
    used = {part.partition(",")[0].partition(")")[0] for part in style.split("var(--pchoice-")[1:]}
    assert used == {prop.name for prop in PROPERTIES}
    assert list(themes()) == ["Ink", "Night", "Paper"]


# Drafts


@pytest.mark.slow
def test_draft_is_shown_as_pages_get_it(app: ASGIApp) -> None:
    shown = show(app, layout="bar", later="refuse", theme=":root { --pchoice-radius: 0 }")
    assert (shown["problems"], shown["path"]) == ([], "/preview/1")
    assert [purpose["id"] for purpose in shown["purposes"]] == ["analytics", "media"]
    reply = page(app, f"{shown['path']}/")
    assert "pchoice-bar" in reply.text
    assert "Close and refuse" in reply.text
    assert 'class="pchoice-box pchoice-part"' in reply.text  # the card of the map
    assert page(app, f"{shown['path']}/theme.css").text == ":root { --pchoice-radius: 0 }"
    assert 'data-scheme="light"' in page(app, f"{shown['path']}/about").text
    assert page(app, f"{shown['path']}/site.js").status == page(app, f"{shown['path']}/site.css").status == 200


def test_same_policy_with_another_look_is_the_same_preview(app: ASGIApp) -> None:
    first, second = show(app), show(app, theme="p {}", scheme="dark")
    assert first["path"] == second["path"]
    assert 'data-scheme="dark"' in page(app, f"{first['path']}/").text
    assert page(app, f"{first['path']}/theme.css").text == "p {}"
    assert show(app, layout="modal")["path"] != first["path"]


def test_requests_at_the_same_time_get_the_same_preview(tmp_path: Path) -> None:
    async def show_twice() -> tuple[Preview, Preview]:
        previews, draft = Previews(tmp_path), Draft(EXAMPLE)
        return await asyncio.gather(previews.show(draft), previews.show(draft))

    first, second = asyncio.run(show_twice())
    assert first is second


@pytest.mark.slow
def test_few_previews_are_kept(app: ASGIApp) -> None:
    paths = [show(app, f"{EXAMPLE}# {number}\n")["path"] for number in range(MOST_KEPT)]
    assert show(app, f"{EXAMPLE}# 0\n")["path"] == paths[0]
    show(app, f"{EXAMPLE}# one more\n")
    assert [page(app, f"{path}/").status for path in paths] == [200, 404, 200, 200]
    assert "This preview has ended." in page(app, f"{paths[1]}/").text
    assert page(app, "/preview/x/").status == page(app, "/preview/").status == 404


@pytest.mark.parametrize("language", ["fi", "ar", "en"])
def test_draft_is_shown_in_a_language(app: ASGIApp, language: str) -> None:
    shown = show(app, language=language)
    assert shown["languages"] == ["en"]
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page(app, f"{shown['path']}/").text


def test_unknown_language_is_shown_in_the_prevailing_one(app: ASGIApp) -> None:
    assert 'lang="en" dir="ltr"' in page(app, f"{show(app, language='tlh')['path']}/").text


def test_site_without_english_has_titles_in_its_own_language(app: ASGIApp) -> None:
    policy = EXAMPLE.replace("en = ", "de = ").replace('"en"', '"de"').replace("Visitor statistics", "Statistik")
    assert ">Statistik</th>" in page(app, f"{show(app, policy)['path']}/").text


def test_site_without_purposes_says_that_nobody_is_asked(app: ASGIApp) -> None:
    shown = show(app, EXAMPLE.partition("[purposes.")[0])
    assert shown["purposes"] == []
    assert "nobody is asked" in page(app, f"{shown['path']}/").text


def test_policy_file_with_a_csp_is_enforced_and_framed(app: ASGIApp) -> None:
    policy = f"{EXAMPLE}\n[security]\ncontent_security_policy = \"default-src 'self'; frame-ancestors 'none'\"\n"
    reply = page(app, f"{show(app, policy)['path']}/")
    sent = reply.all("content-security-policy")
    assert any("default-src 'self'" in value for value in sent)
    assert [value for value in sent if "frame-ancestors" in value] == ["frame-ancestors 'self'"]


@pytest.mark.slow
def test_answer_holds_until_the_site_asks_again(app: ASGIApp) -> None:
    path = show(app)["path"]
    visitor = Visitor(app, FRAMED, scheme="http")
    asked = visitor.get(f"{path}/", host=HOST)
    kept = visitor.send_form(forms(asked.text)[0].pressed("accept_all"), path=f"{path}/privacy-choices", host=HOST)
    assert (kept.status, kept.get("location")) == (303, f"{path}/#pchoice")
    assert all(name.startswith("playground-") for name in kept.set_cookies)
    visitor.jar["session"] = "of another site on this machine"
    answered = visitor.get(f"{path}/", host=HOST)
    assert 'value="accept_all"' not in answered.text
    assert "Here Map of the museum would be." in answered.text
    assert '<td data-holds="media">yes</td>' in answered.text
    settings = visitor.get(f"{path}/privacy-choices", host=HOST)
    assert settings.status == 200
    assert "frame-ancestors 'none'" not in settings.get("content-security-policy")
    again = visitor.request("POST", "/ask-again", OWN[:1], host=HOST)
    assert (again.status, [*visitor.jar]) == (204, ["session"])
    assert 'value="accept_all"' in visitor.get(f"{path}/", host=HOST).text


def test_code_installs_what_is_shown(app: ASGIApp) -> None:
    assert show(app)["code"].endswith(
        'app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]])'
    )
    code = show(app, layout="modal", later="refuse")["code"]
    ast.parse(code)
    assert code.endswith('layout="modal", later="refuse")')


# Problems


@pytest.mark.parametrize(
    ("policy", "text", "line"),
    [
        ("[site", "consent.toml: this is no TOML file", 1),
        ("[site]\nname =", "consent.toml: this is no TOML file", 2),
        ("[site]\nname = 1 2\n", "consent.toml: this is no TOML file", 2),
        ("[site]\n[cookies]\n[cookies]\n", "line 2 begins one table", 2),
        (EXAMPLE.replace("languages =", "lnguages ="), 'consent.toml: [site] key "lnguages": there is no key', 8),
        (EXAMPLE.replace('"media"', '"medai"', 1), '[[recipients]] "example-maps" key "purpose"', 29),
        (EXAMPLE.replace('"session"', '""', 1), '[[cookies]] no. 1 key "name"', 21),
        (EXAMPLE.replace('name = "session"\n', ""), '[[cookies]] no. 1 key "name": the key is missing', 20),
        (EXAMPLE.replace("title = {", "titel = {", 1), "[purposes.analytics]", 11),
        ("", "consent.toml: [site] the table is missing", 0),
        ("[services.x.purposes]\n", "", 0),
        ("x = [\n[1]\n]", "", 0),
    ],
)
def test_problem_is_told_in_the_words_of_the_package(app: ASGIApp, policy: str, text: str, line: int) -> None:
    problem = show(app, policy)["problems"][0]
    assert text in problem["text"]
    assert problem["line"] == line


def test_all_problems_are_told_at_once(app: ASGIApp) -> None:
    problems = show(app, EXAMPLE.replace("languages =", "lnguages =").replace("country", "contry"))["problems"]
    assert [problem["line"] for problem in problems] == [8, 28]
    many = show(app, "".join(f"[a{number}]\n" for number in range(30)))["problems"]
    assert (len(many), many[-1]) == (21, {"text": "And 11 more.", "line": 0})


def test_preview_of_the_last_good_policy_stays(app: ASGIApp) -> None:
    path = show(app)["path"]
    assert "path" not in show(app, "[site")
    assert page(app, f"{path}/").status == 200


def test_option_that_the_law_rules_out_is_a_problem(app: ASGIApp) -> None:
    policy = EXAMPLE.replace("[site]", '[site]\nlaws = ["it"]')
    (problem,) = show(app, policy)["problems"]
    assert problem["text"].startswith('later: "ask" is not valid.')
    assert show(app, policy, later="refuse")["problems"] == []


@pytest.mark.parametrize(
    "policy",
    [
        "site = 1",
        "purposes = 1",
        "[purposes.x]\ntitle = 1",
        "[site]\nlanguages = 3",
        "[purposes]\nx = 1",
        "a = [[[1]]]",
    ],
)
def test_wrong_shapes_are_problems(app: ASGIApp, policy: str) -> None:
    assert show(app, policy)["problems"]


def test_deep_nesting_is_a_problem(app: ASGIApp) -> None:
    assert len(show(app, "a = " + "[" * 20_000)["problems"]) == 1


def test_byte_order_mark_and_surrogates_do_no_harm(app: ASGIApp) -> None:
    for policy in ("\ufeff" + EXAMPLE, EXAMPLE.replace("Museum", "\ud800")):
        assert isinstance(show(app, policy, language="fi")["problems"], list)


# Edits


def test_edits_return_the_new_text(app: ASGIApp) -> None:
    for edit in (
        {"edit": "add_purpose"},
        {"edit": "remove_purpose", "purpose": "media"},
        {"edit": "rename_purpose", "purpose": "media", "new": "films"},
        {"edit": "retitle_purpose", "purpose": "media", "language": "en", "title": "Films"},
        {"edit": "add_language", "language": "fi"},
    ):
        reply = post(app, "/edit", {"policy": EXAMPLE, **edit})
        assert reply.status == 200, reply.text
        assert reply.json["policy"] != EXAMPLE


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"edit": "format", "policy": ""}, "An edit is one of: add_purpose"),
        ({"edit": "add_purpose", "policy": "", "more": "x"}, "An edit is one of: add_purpose"),
        ({"edit": "add_purpose"}, "An edit is one of: add_purpose"),
        ([], "An edit is one of: add_purpose"),
        ({"edit": "add_purpose", "policy": "#" * (LONGEST_POLICY + 1)}, "A policy has at most 65,536 characters"),
        (b"{", "Expecting"),
        (b"[" * 100_000, ""),
        (b"\xff", ""),
    ],
)
def test_wrong_request_for_an_edit_is_refused(app: ASGIApp, data: object, said: str) -> None:
    reply = post(app, "/edit", data)
    assert reply.status == 400
    assert said in reply.json["problem"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"edit": "add_purpose", "policy": "[site"}, "its text is no TOML just now"),
        ({"edit": "add_purpose", "policy": ""}, "this needs its tables as they should be"),
        ({"edit": "rename_purpose", "policy": EXAMPLE, "purpose": "media", "new": "X"}, "is not valid here"),
    ],
)
def test_edit_that_cannot_be_made_is_explained(app: ASGIApp, data: object, said: str) -> None:
    reply = post(app, "/edit", data)
    assert reply.status == 200
    assert said in reply.json["problem"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "A draft has a policy"),
        ({}, "A draft has a policy"),
        ({"policy": "", "prefix": ""}, "A draft has a policy"),
        ({"policy": 1}, "is a text"),
        ({"policy": "", "layout": "top"}, 'A draft\'s "layout" is one of: corner, bar, modal.'),
        ({"policy": "#" * (LONGEST_POLICY + 1)}, "A policy has at most 65,536 characters here"),
        ({"policy": f"[{'.'.join('a' * 1_000)}]"}, "A line of a policy has at most 300 dots here."),
        ({"policy": "", "theme": "#" * (LONGEST_THEME + 1)}, "A style sheet has at most 16,384 characters"),
    ],
)
def test_wrong_draft_is_explained(app: ASGIApp, data: object, said: str) -> None:
    reply = post(app, "/draft", data)
    assert reply.status == 400
    assert said in reply.json["problem"]


# Who may ask


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "http://evil.example")],
        [("origin", "http://127.0.0.1:9000")],
    ],
)
@pytest.mark.parametrize("path", ["/draft", "/edit", "/ask-again"])
def test_other_sites_cannot_drive_it(app: ASGIApp, path: str, headers: Any) -> None:
    reply = post(app, path, {"policy": EXAMPLE}, headers)
    assert reply.status == 403
    assert reply.set_cookies == {}


def test_own_page_may_ask_also_without_fetch_metadata(app: ASGIApp) -> None:
    own = [("origin", "http://127.0.0.1:8000")]
    assert post(app, "/draft", {"policy": EXAMPLE}, own).status == 200


@pytest.mark.parametrize("path", ["/", "/playground.js", "/preview/1/"])
def test_other_names_for_this_machine_are_refused(app: ASGIApp, path: str) -> None:
    show(app)
    assert page(app, path, host="rebound.example").status == 421


def test_large_body_is_refused(app: ASGIApp) -> None:
    assert post(app, "/draft", b" " * 400_000).status == 413
