"""Tests of answers that follow an account, on raw messages: an app with a session cookie, and several devices."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import AccountAnswers, ConsentMiddleware
from cookie_consent.decision.decision import CONSENT_LIFETIME
from cookie_consent.ledgers.memory import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
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
    policy,
    reply_app,
    response_to,
)
from tests.support.asgi import scope as request_scope
from tests.support.browsers.browser import forms
from tests.support.policies import text_of

HTML = [("accept", "text/html,*/*;q=0.8"), ("user-agent", PHONE), ("sec-fetch-dest", "document")]
OURS, MARK = "__Host-consent", "__Host-consent-account"
APPLIES, SCOPE = text_of(policy(), "en", "account_applies"), text_of(policy(), "en", "account_scope")


class Site:
    """A site whose users are named by their session cookie, and their devices.

    Args:
        app: the app.
        text: its policy.
        functions: other functions than those of this class.
        options: further options of the middleware.
    """

    def __init__(
        self, app: ASGIApp | None = None, text: str = SITE, functions: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.clock = Clock()
        own: dict[str, Any] = {"user": self.user, "load": self.load, "save": self.save}
        accounts = AccountAnswers(**own | dict(functions or {}))
        self.app: ConsentMiddleware = install(app or page_app(), text, accounts=accounts, clock=self.clock, **options)

    async def user(self, request: HTTPConnection) -> str | None:
        self.asked.append(request.url.path)
        return request.cookies.get("session")

    async def load(self, user: str) -> dict[str, Any] | None:
        return self.kept.get(user)

    def save(self, user: str, record: dict[str, Any]) -> None:
        self.kept[user] = record

    def device(self, user: str = "", headers: Fields = HTML) -> Device:
        device = Device(self.app, headers)
        device.sign_in(user)
        return device


class Device(Visitor):
    """A browser in which somebody may be signed in."""

    def sign_in(self, user: str) -> None:
        """Sign somebody in, or out with ""."""
        self.jar.pop("session", None)
        if user:
            self.jar["session"] = user

    @property
    def allowed(self) -> set[str]:
        return {id_ for id_, allowed in self.state()["purposes"].items() if allowed and id_ != "necessary"}


def told(reply: Reply) -> bool:
    return APPLIES in reply.text


def asks(reply: Reply) -> bool:
    return "refuse_all" in reply.text


@pytest.fixture
def site() -> Site:
    return Site(ledger=MemoryLedger())


def test_answer_given_while_signed_in_is_kept_with_the_account(site: Site) -> None:
    site.device("ann").save(media=True)
    (record,) = site.kept.values()
    assert site.kept.keys() == {"ann"}
    assert record == {
        "version": 1,
        "answers": {"analytics": "refused", "media": "granted"},
        "facts": record["facts"],
        "policy": policy().version,
        "decided_at": "2025-06-15T15:06:40Z",
        "language": "en",
    }


def test_answer_applies_at_once_on_a_device_without_one(site: Site) -> None:
    site.device("ann").save(media=True)
    phone = site.device("ann")
    site.clock.forward(days=1)
    page = phone.get()
    assert not asks(page)
    assert told(page)
    assert text_of(policy(), "en", "status_partial") in page.text
    assert re.search(rf'{re.escape(APPLIES)}.*<a href="{PREFIX}\?language=en&amp;next=/"', page.text)
    assert page.get("cache-control") == "no-store"
    state = phone.state()
    assert (state["source"], state["decided_at"]) == ("account", "2025-06-15T15:06:40Z")
    assert phone.allowed == {"media"}
    # It is said once.
    again = phone.get()
    assert not told(again)
    assert again.all("set-cookie") == []


def test_page_follows_the_account_before_the_app_is_called() -> None:
    seen: list[list[str]] = []
    site = Site(reply_app(PAGE, "text/html", sets=["player=1"], reads=["media"], seen=seen))
    site.device("ann").save(media=True)
    assert "player" in site.device("ann").get().set_cookies
    assert seen[-1] == [seen[-1][0]]
    assert f"{OURS}=" in seen[-1][0]


def test_newer_answer_holds_on_all_devices(site: Site) -> None:
    laptop, phone = site.device("ann"), site.device("ann")
    laptop.save(media=True)
    phone.get()
    site.clock.forward(days=1)
    phone.accept()
    assert laptop.allowed == {"media"}
    assert told(laptop.get())
    assert laptop.allowed == {"analytics", "media"}
    site.clock.forward(days=1)
    laptop.refuse()
    assert told(phone.get())
    assert phone.allowed == set()
    assert not told(laptop.get())


@pytest.mark.parametrize("refuses_last", [True, False])
def test_refusal_holds_on_all_devices_if_a_grant_came_in_the_same_second(site: Site, refuses_last: bool) -> None:
    """Times are whole seconds, so nobody can tell which is newer."""
    laptop, phone = site.device("ann"), site.device("ann")
    first, last = (laptop, phone) if refuses_last else (phone, laptop)
    first.save(media=True)
    last.refuse() if refuses_last else last.save(analytics=True)
    page = laptop.get()
    assert told(page) == refuses_last
    assert laptop.allowed == (set() if refuses_last else {"analytics"})
    page = phone.get()
    assert told(page) != refuses_last
    assert phone.allowed == set()
    assert laptop.get().all("set-cookie") == phone.get().all("set-cookie") == []


def test_stricter_answer_wins_for_each_purpose_and_the_visitor_is_told(site: Site) -> None:
    site.device("ann").save(analytics=True)
    laptop = site.device()
    site.clock.forward(days=1)
    laptop.save(media=True)
    assert laptop.allowed == {"media"}
    laptop.sign_in("ann")
    page = laptop.get()
    assert told(page)
    assert not asks(page)
    assert laptop.allowed == set()
    assert laptop.state()["status"] == "refused"
    # It is no wish for the account, whose answer stays.
    assert site.kept["ann"]["answers"] == {"analytics": "granted", "media": "refused"}
    # From now on the device follows: a newer answer holds as it is.
    site.clock.forward(days=1)
    site.device("ann").accept()
    assert told(laptop.get())
    assert laptop.allowed == {"analytics", "media"}


@pytest.mark.parametrize("is_account_older", [True, False])
def test_grant_in_both_expires_with_the_older(site: Site, is_account_older: bool) -> None:
    laptop, phone = site.device(), site.device("ann")
    if is_account_older:
        phone.save(analytics=True)
        site.clock.forward(days=10)
        laptop.accept()
    else:
        laptop.accept()
        site.clock.forward(days=10)
        phone.save(analytics=True)
    laptop.sign_in("ann")
    laptop.get()
    assert laptop.allowed == {"analytics"}
    assert laptop.state()["decided_at"] == "2025-06-15T15:06:40Z"


def test_device_that_is_as_strict_as_the_account_keeps_its_answer(site: Site) -> None:
    site.device("ann").accept()
    laptop = site.device()
    site.clock.forward(days=10)
    laptop.save(analytics=True)
    laptop.sign_in("ann")
    page = laptop.get()
    assert told(page)
    assert page.set_cookies.keys() == {MARK}
    assert laptop.allowed == {"analytics"}
    assert laptop.state()["source"] == "api"
    assert not told(laptop.get())


def test_refusal_in_both_has_the_time_of_the_newer(site: Site) -> None:
    site.device("ann").save(analytics=True)
    laptop = site.device()
    site.clock.forward(days=10)
    laptop.save(media=True)
    laptop.sign_in("ann")
    laptop.get()
    assert laptop.state()["decided_at"] == "2025-06-25T15:06:40Z"


def test_equal_answers_are_not_told_and_the_device_follows(site: Site) -> None:
    site.device("ann").accept()
    laptop = site.device()
    laptop.accept()
    laptop.sign_in("ann")
    page = laptop.get()
    assert not told(page)
    assert page.set_cookies.keys() == {MARK}
    assert laptop.get().all("set-cookie") == []
    site.clock.forward(days=1)
    site.device("ann").refuse()
    laptop.get()
    assert laptop.allowed == set()


def test_newer_equal_answer_renews_the_device_without_a_word(site: Site) -> None:
    laptop = site.device("ann")
    laptop.accept()
    site.clock.forward(days=100)
    site.device("ann").accept()
    page = laptop.get()
    assert not told(page)
    assert page.set_cookies.keys() == {OURS, MARK}
    site.clock.forward(days=100)
    assert laptop.allowed == {"analytics", "media"}


def test_signing_out_changes_nothing_on_the_device(site: Site) -> None:
    site.device("ann").accept()
    laptop = site.device("ann")
    laptop.get()
    laptop.sign_in("")
    assert laptop.get().all("set-cookie") == []
    assert laptop.allowed == {"analytics", "media"}


def test_answer_of_one_account_counts_for_no_other(site: Site) -> None:
    laptop = site.device("ann")
    laptop.accept()
    laptop.get()
    laptop.sign_in("")
    laptop.sign_in("ben")
    page = laptop.get()
    assert asks(page)
    assert laptop.allowed == set()
    assert OURS not in laptop.jar
    assert MARK not in laptop.jar
    assert site.kept.keys() == {"ann"}
    laptop.refuse()
    assert site.kept["ann"]["answers"] == {"analytics": "granted", "media": "granted"}
    assert site.kept["ben"]["answers"] == {"analytics": "refused", "media": "refused"}
    # Each finds their own answer again on the shared device, undiminished.
    for user, allowed in (("ann", {"analytics", "media"}), ("ben", set[str]()), ("ann", {"analytics", "media"})):
        laptop.sign_in(user)
        assert told(laptop.get())
        assert laptop.allowed == allowed
    assert site.kept["ben"]["answers"] == {"analytics": "refused", "media": "refused"}


def test_another_account_gets_no_visitor_id_of_the_first() -> None:
    sink = MemorySink()
    site = Site(access_log=sink)
    laptop = site.device("ann")
    laptop.accept()
    laptop.get()
    anns = laptop.jar["__Host-visitor"]
    laptop.sign_in("ben")
    laptop.get()
    assert "__Host-visitor" not in laptop.jar
    laptop.accept()
    laptop.get()
    assert laptop.jar["__Host-visitor"] != anns
    assert len({record["visitor.id"] for record in sink.records}) == 2


def test_withdrawal_on_another_device_ends_tracing_here_and_keeps_the_id_to_erase() -> None:
    sink = MemorySink()
    site = Site(access_log=sink)
    laptop, phone = site.device("ann"), site.device("ann")
    laptop.accept()
    laptop.get()
    assert len(sink.records) == 1
    site.clock.forward(days=1)
    phone.refuse()
    reply = laptop.get()
    assert len(sink.records) == 1
    assert "__Secure-visitor-erasure" in reply.set_cookies
    assert "__Host-visitor" not in laptop.jar
    assert len(laptop.get(f"{PREFIX}/export").json["access_records"]) == 1


def test_tracing_begins_on_the_page_that_applies_it() -> None:
    sink = MemorySink()
    site = Site(access_log=sink)
    site.device("ann").accept()
    phone = site.device("ann")
    phone.get()
    assert len(sink.records) == 1
    phone.get()
    assert len({record["visitor.id"] for record in sink.records}) == 1


def test_answer_builds_on_nothing_that_another_account_left() -> None:
    """Somebody may sign in without opening a page, and allow one thing more."""
    ledger, sink = MemoryLedger(), MemorySink()
    site = Site(ledger=ledger, access_log=sink)
    laptop = site.device("ann")
    laptop.save(analytics=True)
    laptop.get()
    anns = laptop.jar["__Host-visitor"]
    laptop.sign_in("ben")
    settings = laptop.get(PREFIX)
    assert text_of(policy(), "en", "status_unknown") in settings.text
    export = laptop.get(f"{PREFIX}/export").json
    assert (export["consent_records"], export["access_records"], export["visitor_id"]) == ([], [], None)
    laptop.post({"choice": "grant", "purposes": {"media": True}})
    assert site.kept["ben"]["answers"] == {"media": "granted"}
    assert laptop.allowed == {"media"}
    assert anns not in laptop.jar.values()
    # Nor do the records of the two have an id in common.
    assert len({record["consent_id"] for record in ledger.kept}) == 2
    laptop.accept()
    laptop.get()
    assert laptop.jar["__Host-visitor"] != anns


def test_anonymous_answer_on_a_shared_device_is_not_kept_with_an_account(site: Site) -> None:
    laptop = site.device()
    laptop.accept()
    laptop.sign_in("ann")
    assert laptop.get().all("set-cookie") == []
    assert site.kept == {}
    assert laptop.allowed == {"analytics", "media"}


def test_anonymous_answer_after_signing_out_follows_no_account(site: Site) -> None:
    laptop = site.device("ann")
    laptop.accept()
    laptop.sign_in("")
    laptop.save(media=True)
    assert MARK not in laptop.jar
    assert site.kept["ann"]["answers"]["analytics"] == "granted"
    laptop.sign_in("ann")
    assert told(laptop.get())
    assert laptop.allowed == {"media"}


def test_redirect_after_signing_in_leaves_the_message_to_the_next_page() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        moved = scope["path"] == "/login"
        headers = [(b"location", b"/")] if moved else [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 303 if moved else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if moved else PAGE})

    site = Site(app)
    site.device("ann").refuse()
    phone = site.device("ann")
    assert phone.get("/login").set_cookies.keys() == {OURS, MARK}
    page = phone.get("/")
    assert told(page)
    assert page.set_cookies.keys() == {MARK}
    assert not told(phone.get("/"))


def test_answer_that_is_given_while_the_page_is_made_is_not_replaced() -> None:
    async def slow_page(scope: Scope, receive: Receive, send: Send) -> None:
        """A page during which somebody answers in another tab."""
        if waits:
            fields = [*HTML, ("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
            request = request_scope("POST", PREFIX, [*fields, ("cookie", waits.pop())])
            await response_to(site.app, request, bodies(b'{"choice": "refuse_all"}'))
        await page_app()(scope, receive, send)

    waits = list[str]()
    site = Site(slow_page)
    laptop = site.device("ann")
    laptop.save(media=True)
    site.clock.forward(days=1)
    site.device("ann").accept()
    site.clock.forward(days=1)
    waits.append(laptop.cookies)
    page = laptop.get()
    assert (OURS in page.set_cookies, MARK in page.set_cookies, told(page)) == (False, False, False)
    assert site.kept["ann"]["answers"] == {"analytics": "refused", "media": "refused"}


def test_ledger_records_the_source_and_the_time_of_the_answer() -> None:
    ledger = MemoryLedger()
    site = Site(ledger=ledger)
    site.device("ann").save(media=True)
    phone = site.device("ann")
    site.clock.forward(days=1)
    phone.get()
    first, second = ledger.kept
    assert (first["source"], second["source"]) == ("api", "account")
    assert second["decided_at"] == "2025-06-15T15:06:40Z"
    # Nothing joins the devices of an account in the ledger.
    assert first["consent_id"] != second["consent_id"]
    assert "ann" not in str(ledger.kept)
    assert text_of(policy(), "en", "given_account") in phone.get(f"{PREFIX}/receipt/page").text


class _BrokenLedger(MemoryLedger):
    async def append(self, entry: Any) -> Any:
        raise OSError("the disk is full")


def test_answer_that_cannot_be_recorded_is_not_applied() -> None:
    working = Site()
    working.device("ann").accept()
    site = Site(ledger=_BrokenLedger())
    site.kept = working.kept
    page = site.device("ann").get()
    assert asks(page)
    assert page.all("set-cookie") == []


def test_expired_answer_of_the_account_is_asked_again(site: Site) -> None:
    site.device("ann").accept()
    site.clock.forward(seconds=CONSENT_LIFETIME.total_seconds())
    assert asks(site.device("ann").get())


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"answers": ["analytics"]},
        {"answers": {"analytics": "yes"}},
        {"answers": {}},
        {"answers": {"no longer": "granted"}},
        {"facts": {}},
        {"facts": {"analytics": "<script>", "media": "12345"}},
        {"facts": None},
        {"policy": "x"},
        {"policy": None},
        {"decided_at": "2999-01-01T00:00:00Z"},
        {"decided_at": "2025-02-31T00:00:00Z"},
        {"decided_at": 1},
        {"language": "~"},
        {"recipients": {"analytics": [1]}},
        {"recipients": {"analytics": 1}},
    ],
)
def test_what_is_no_answer_counts_as_none(site: Site, change: Mapping[str, Any]) -> None:
    site.device("ann").accept()
    site.kept["ann"] |= change
    page = site.device("ann").get()
    assert asks(page)
    assert page.all("set-cookie") == []


@pytest.mark.parametrize("given", [None, 1, "text", [], {}, b"\xff"])
def test_data_of_another_shape_counts_as_none(site: Site, given: Any) -> None:
    site.kept["ann"] = given
    assert asks(site.device("ann").get())


def test_purposes_that_the_policy_no_longer_has_are_left_out_and_new_ones_asked() -> None:
    site = Site()
    site.device("ann").accept()
    answers, facts = site.kept["ann"]["answers"], site.kept["ann"]["facts"]
    del answers["media"]
    answers["gone"], facts["gone"] = "granted", "12345"
    phone = site.device("ann")
    assert asks(phone.get())  # for media
    assert phone.allowed == {"analytics"}


def test_purpose_that_has_changed_since_is_asked_again() -> None:
    site = Site()
    site.device("ann").accept()
    site.kept["ann"]["policy"], site.kept["ann"]["facts"]["media"] = "0" * 16, "12345"
    phone = site.device("ann")
    assert asks(phone.get())
    assert phone.allowed == {"analytics"}


def test_global_privacy_control_of_a_device_wins(site: Site) -> None:
    site.device("ann").accept()
    phone = site.device("ann", [*HTML, ("sec-gpc", "1")])
    phone.get()
    assert phone.allowed == {"analytics"}


def test_what_a_signal_switched_off_stays_off_when_the_account_answers_anew(site: Site) -> None:
    laptop = site.device("ann")
    laptop.accept()
    laptop.get(headers=[("sec-gpc", "1")])
    assert laptop.allowed == {"analytics"}
    site.clock.forward(days=1)
    site.device("ann").accept()
    laptop.get()
    assert laptop.allowed == {"analytics"}


def test_banner_and_settings_say_that_the_answer_holds_on_all_devices(site: Site) -> None:
    phone = site.device("ann")
    page = phone.get()
    assert SCOPE in page.text
    (form,) = forms(page.text)
    assert phone.send_form(form.pressed("accept_all")).status == 303
    # The proof has the text as it was shown.
    assert isinstance(site.app._installed.ledger, MemoryLedger)
    (record,) = site.app._installed.ledger.kept
    assert SCOPE in (asyncio.run(site.app._installed.ledger.text(record["text"])) or "")
    assert SCOPE in phone.get(PREFIX).text
    assert SCOPE in phone.get(f"{PREFIX}/question", headers=[("accept", "*/*")]).text
    for visitor in (site.device(), Visitor(install(page_app()), HTML)):
        assert SCOPE not in visitor.get().text
        assert SCOPE not in visitor.get(PREFIX).text


def test_settings_list_the_cookie(site: Site) -> None:
    about = text_of(policy(), "en", "cookie_account")
    assert about in site.device().get(PREFIX).text
    assert about not in Visitor(install(page_app()), HTML).get(PREFIX).text


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", HTML),
        ("GET", [("accept", "*/*")]),
        ("GET", [*HTML[:2], ("sec-fetch-dest", "iframe")]),
        ("GET", [*HTML, ("sec-purpose", "prefetch")]),
    ],
)
def test_only_pages_that_the_visitor_opens_ask_the_app(site: Site, method: str, headers: Fields) -> None:
    device = site.device("ann", headers)
    device.request(method, "/")
    device.get(f"{PREFIX}/state")
    assert site.asked == []


@pytest.mark.parametrize("name", ["user", "load"])
@pytest.mark.parametrize("is_async", [True, False])
def test_failing_function_breaks_no_page_and_is_logged_once(
    name: str, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no database")

    async def fails_later(*_: object) -> None:
        raise OSError("no database")

    site = Site(functions={name: fails_later if is_async else fails})
    phone = site.device("ann")
    with caplog.at_level(logging.ERROR):
        assert asks(phone.get())
        assert asks(phone.get())
    assert caplog.messages == [
        f"accounts: {name}= failed, and further failures of this kind are not logged. OSError: no database"
    ]


def test_answer_counts_on_the_device_if_it_cannot_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    def fails(user: str, record: dict[str, Any]) -> None:
        raise OSError("no database")

    site = Site(functions={"save": fails})
    site.kept["ann"] = Site().kept
    laptop = site.device("ann")
    with caplog.at_level(logging.ERROR):
        assert laptop.accept().status == 200
    laptop.get()
    assert laptop.allowed == {"analytics", "media"}


@pytest.mark.parametrize("wait", [asyncio.sleep, time.sleep])
def test_function_that_takes_too_long_is_given_up(
    wait: Callable[[float], Any], caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(functions={"load": lambda _: wait(0.2), "time_limit": 0.01})
    with caplog.at_level(logging.ERROR):
        assert asks(site.device("ann").get())
    assert caplog.messages[0].endswith("TimeoutError: no result within 0.01 seconds")


@pytest.mark.parametrize("user", ["", 7, "x" * 257])
def test_user_that_is_no_short_text_counts_as_nobody(user: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(functions={"user": lambda _: user})
    with caplog.at_level(logging.ERROR):
        site.device("ann").accept()
    assert site.kept == {}
    assert "it has to return None or a text of 1 to 256 characters" in caplog.text


def test_user_sees_the_cookies_that_the_app_may_see() -> None:
    seen: list[Mapping[str, str]] = []
    site = Site(functions={"user": lambda request: seen.append(request.cookies)})
    device = site.device("ann")
    device.jar["_ga"] = "GA1"
    device.get()
    assert seen == [{"session": "ann"}]


def test_under_trio_functions_are_called_too() -> None:
    site = Site()
    device = Device(site.app, HTML, backend="trio")
    device.sign_in("ann")
    device.accept()
    assert site.kept.keys() == {"ann"}


def test_mark_is_signed_and_does_not_name_the_account(site: Site) -> None:
    phone = site.device("ann@site.example")
    phone.accept()
    assert "ann" not in phone.jar[MARK]
    # A forged one is none: the answers are compared as on a first sign-in.
    phone.jar[MARK] = phone.jar[MARK][:-1]
    site.clock.forward(days=1)
    site.device("ann@site.example").refuse()
    phone.get()
    assert phone.allowed == set()


def test_devices_of_an_account_have_marks_that_do_not_link_them(site: Site) -> None:
    laptop, phone = site.device("ann"), site.device("ann")
    laptop.accept()
    site.clock.forward(seconds=1)
    phone.accept()
    digests = {device.jar[MARK].split("~")[1] for device in (laptop, phone)}
    assert len(digests) == 2


def test_hosts_that_share_answers_share_the_mark() -> None:
    hosts = 'domain = "site.example"\nhosts = ["site.example", "shop.site.example"]\n'
    site = Site(text=SITE.replace("[site]\n", f"[site]\n{hosts}"))
    laptop, phone = site.device("ann"), site.device("ann")
    laptop.accept()
    phone.get(host="shop.site.example")
    assert {"__Secure-consent", "__Secure-consent-account"} <= phone.jar.keys()
    assert phone.get(host="site.example").all("set-cookie") == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"user": None}, "accounts: user"),
        ({"load": "x"}, "accounts: load"),
        ({"save": 1}, "accounts: save"),
        ({"time_limit": 0}, "accounts: time_limit"),
        ({"time_limit": True}, "accounts: time_limit"),
    ],
)
def test_wrong_argument_is_refused(arguments: Mapping[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        AccountAnswers(**{"user": print, "load": print, "save": print, **arguments})


def test_wrong_option_stops_the_start() -> None:
    with pytest.raises(ValueError, match="accounts: "):
        install(accounts=print)
