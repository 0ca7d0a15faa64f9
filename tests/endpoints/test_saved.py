"""Tests of the message that an answer is saved, which the next page says once to visitors without JavaScript."""

from __future__ import annotations

import re

import pytest

from tests.support.asgi import PAGE, PHONE, PREFIX, Reply, Visitor, install, page_app, policy
from tests.support.browsers.browser import forms
from tests.support.policies import text_of

HTML = [("accept", "text/html,*/*;q=0.8"), ("user-agent", PHONE)]
COOKIE = "__Host-consent-saved"
WITHDRAWN = "You have withdrawn your consent."
SAVED, BACK = text_of(policy(), "en", "kept"), text_of(policy(), "en", "back")


@pytest.fixture
def visitor() -> Visitor:
    return Visitor(install(page_app()), HTML)


def messages(reply: Reply) -> list[str]:
    """Return the messages about an answer in a page, without tags."""
    found: list[str] = re.findall(
        r'<p class="pchoice-(?:status pchoice-part|notice)" role="status".*?>(.*?)</p>', reply.text, re.DOTALL
    )
    return [" ".join(re.sub(r"<.*?>", " ", message).split()) for message in found]


@pytest.mark.parametrize(
    ("choice", "status"), [("refuse_all", "refused"), ("accept_all", "granted"), ("save", "refused")]
)
def test_page_says_once_that_answer_of_form_is_saved(visitor: Visitor, choice: str, status: str) -> None:
    (form,) = forms(visitor.get("/there", query=b"a=1&b=2").text)
    reply = visitor.send_form(form.pressed(choice))
    assert f"{COOKIE}=saved; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure" in reply.all("set-cookie")
    assert reply.get("location") == "/there?a=1&b=2#pchoice"
    page = visitor.get("/there", query=b"a=1&b=2")
    assert messages(page) == [f"{SAVED} {text_of(policy(), 'en', f'status_{status}')} {BACK}"]
    assert '<a href="/there?a=1&amp;b=2"' in page.text
    # Neither a reload nor a cache says it again.
    assert page.all("cache-control") == ["no-store"]
    assert COOKIE not in visitor.jar
    again = visitor.get("/there", query=b"a=1&b=2")
    assert messages(again) == []
    assert again.all("cache-control") == ["private"]


def test_withdrawal_is_said_on_settings_page_once(visitor: Visitor) -> None:
    visitor.accept()
    assert COOKIE not in visitor.jar
    settings = visitor.get(PREFIX, query=b"language=en&next=/there")
    form = forms(settings.text)[0]
    reply = visitor.send_form(form.pressed("refuse_all"))
    assert (reply.status, reply.get("location")) == (303, f"{PREFIX}?language=en&next=/there#pchoice")
    said = visitor.get(PREFIX, query=b"language=en&next=/there")
    assert messages(said) == [WITHDRAWN]
    assert '<a href="/there">Back to the page</a>' in said.text
    assert text_of(policy(), "en", "status_refused") in said.text
    assert messages(visitor.get(PREFIX, query=b"language=en&next=/there")) == []
    assert messages(visitor.get("/there")) == []


@pytest.mark.parametrize(("cookies", "says"), [(1, "1 cookie was deleted."), (2, "2 cookies were deleted.")])
def test_withdrawal_says_how_many_cookies_it_has_deleted(visitor: Visitor, cookies: int, says: str) -> None:
    visitor.accept()
    visitor.jar |= {f"_ga{number}": "1" for number in range(cookies)}
    by_script = visitor.post({"choice": "refuse_all"}).json["message"]
    assert by_script == f"{WITHDRAWN} {says}"
    visitor.accept()
    visitor.jar |= {f"_ga{number}": "1" for number in range(cookies)}
    visitor.send_form("choice=refuse_all&surface=banner")
    assert messages(visitor.get()) == [f"{WITHDRAWN} {says} {text_of(policy(), 'en', 'status_refused')} {BACK}"]


@pytest.mark.parametrize("value", ["1", "withdrawn", "withdrawn-1000", "withdrawn-<b>", "withdrawn-²", "saved-1"])
def test_nothing_else_that_the_cookie_holds_is_said(visitor: Visitor, value: str) -> None:
    visitor.refuse()
    visitor.jar[COOKIE] = value
    assert messages(visitor.get()) == []


@pytest.mark.parametrize("next_path", ["", "//evil.example", "https://evil.example/", "/\\evil.example"])
def test_message_leads_to_no_other_site(visitor: Visitor, next_path: str) -> None:
    visitor.send_form("choice=refuse_all&surface=banner")
    said = visitor.get(PREFIX, query=f"language=en&next={next_path}".encode())
    assert messages(said) == [SAVED]
    assert "evil" not in said.text


def test_answer_of_script_is_said_by_script_alone(visitor: Visitor) -> None:
    visitor.refuse()
    assert COOKIE not in visitor.jar
    assert visitor.get().body == PAGE


def test_browser_without_cookies_is_told_of_nothing_saved(visitor: Visitor) -> None:
    visitor.send_form("choice=refuse_all&surface=banner")
    visitor.jar.clear()
    assert messages(visitor.get()) == []
    # Only the message could be kept, for example: it would not be true.
    visitor.jar[COOKIE] = "saved"
    assert messages(visitor.get()) == []
    assert messages(visitor.get(PREFIX)) == []


def test_only_a_page_of_its_own_says_it(visitor: Visitor) -> None:
    visitor.send_form("choice=refuse_all&surface=banner")
    assert messages(visitor.get(headers=[("sec-fetch-dest", "iframe")])) == []
    assert messages(visitor.request("POST", "/")) == []
    assert len(messages(visitor.get())) == 1


def test_page_that_still_asks_says_it_below_the_question(visitor: Visitor) -> None:
    visitor.send_form("choice=grant&purpose=media&surface=banner")
    page = visitor.get()
    assert [*re.findall(r'value="refuse_all"|class="pchoice-status pchoice-part"|Hello', page.text)] == [
        'value="refuse_all"',
        'class="pchoice-status pchoice-part"',
        "Hello",
    ]


def test_pages_without_our_html_say_nothing() -> None:
    visitor = Visitor(install(page_app(), inject=False), HTML)
    visitor.send_form("choice=refuse_all&surface=banner")
    assert visitor.get().body == PAGE
    assert messages(visitor.get(PREFIX)) == [SAVED]
