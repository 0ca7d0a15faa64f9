"""Tests of the erasure cookie: after a withdrawal the visitor can still export and erase earlier access records."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cookie_consent.decision.own_cookies import MAX_WITHDRAWN
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Clock, Reply, Visitor, call, install, policy, reply_app
from tests.support.policies import text_of
from tests.support.waiting import eventually

NAME, PLAIN = "__Secure-visitor-erasure", "visitor-erasure"
EXPORT, ERASE = f"{PREFIX}/export", f"{PREFIX}/erase"
ERASE_ON_WITHDRAWAL = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
ANOTHER_COOKIE = '\n[[cookies]]\nname = "more"\npurpose = "analytics"\n'
DAYS = 30
"""How long the policy keeps access records."""


class Traced(Visitor):
    """A visitor who granted all and visited two pages, in a browser that respects the paths of cookies."""

    def __init__(self, text: str = SITE, **options: Any) -> None:
        self.clock, self.seen, self.sink = Clock(), list[list[str]](), MemorySink()
        self.ledger = MemoryLedger()
        given = {"access_log": self.sink, "ledger": self.ledger, "clock": self.clock, **options}
        super().__init__(install(reply_app(seen=self.seen), text, **given), [("user-agent", PHONE)])
        self.accept()
        self.get("/one")
        self.get("/two")
        self.id = self.export()["visitor_id"]

    def request(self, method: str, path: str, *args: Any, **more: Any) -> Reply:
        narrow = {} if path.startswith(PREFIX) else {name: self.jar.pop(name) for name in (NAME,) if name in self.jar}
        try:
            return super().request(method, path, *args, **more)
        finally:
            self.jar |= narrow

    def change_policy(self, text: str) -> None:
        """Move to a site with another policy, and the same ledger and access log."""
        self.app = install(reply_app(), text, access_log=self.sink, ledger=self.ledger, clock=self.clock)

    def export(self) -> dict[str, Any]:
        export: dict[str, Any] = self.get(EXPORT).json
        return export

    def paths(self) -> list[str]:
        return [record["url.path"] for record in self.export()["access_records"]]

    def erase(self) -> Reply:
        return self.post({}, [("accept", "application/json")], path=ERASE)


def words(key: str) -> str:
    return text_of(policy(), "en", key)


def visible(html: str) -> str:
    body = re.sub(r"</?(?:time|code|bdi)[^>]*>", "", html.partition("<body")[2].partition(">")[2])
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_withdrawal_replaces_visitor_cookie_with_erasure_cookie() -> None:
    visitor = Traced()
    fields = visitor.refuse().set_cookies
    assert "Max-Age=0" in fields["__Host-visitor"]
    attributes = fields[NAME].partition(";")[2]
    assert attributes == f" Max-Age={DAYS * 86_400}; Path={PREFIX}; HttpOnly; SameSite=Lax; Secure"
    assert fields[NAME].startswith(f"{NAME}={visitor.id}~{int(NOW) + DAYS * 86_400}.")


@pytest.mark.requirement("TR-09")
def test_withdrawn_visitor_can_export_and_erase_records() -> None:
    visitor = Traced()
    visitor.refuse()
    export = visitor.export()
    assert visitor.paths() == ["/one", "/two"]
    assert (export["visitor_id"], export["withdrawn_visitor_ids"]) == (None, [visitor.id])
    reply = visitor.erase()
    assert reply.json["erased"] == 2
    assert reply.set_cookies[NAME] == (
        f"{NAME}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path={PREFIX}; Secure"
    )
    assert "__Host-visitor" not in reply.set_cookies
    assert visitor.sink.records == []
    assert visitor.export()["withdrawn_visitor_ids"] == []


# The settings page.


def test_settings_page_shows_and_erases_records_after_withdrawal() -> None:
    visitor = Traced()
    assert "withdrew" not in visible(visitor.get(PREFIX).text).replace(words("cookie_erasure"), "")
    visitor.refuse()
    text = visitor.get(PREFIX).text
    assert words("kept_withdrawn").partition("{")[0] in text
    assert f"until July 15, 2025, by an identifier that serves only to show and erase them: {visitor.id}." in visible(
        text
    )
    assert words("kept_traces").partition(":")[0] not in text
    reply = visitor.send_form("language=en", path=ERASE)
    path, _, query = reply.get("location").partition("?")
    after = visitor.get(path, query=query.encode()).text
    assert words("erased") in after
    assert visitor.id not in after


@pytest.mark.parametrize(
    ("text", "options"),
    [(SITE, {}), (ERASE_ON_WITHDRAWAL, {"access_log": MemorySink()})],
    ids=["no access log", "erased on withdrawal"],
)
def test_withdrawal_that_leaves_no_records_sets_no_erasure_cookie(text: str, options: Any) -> None:
    app = install(text=text, **options)
    assert NAME not in call(app, path=PREFIX).text
    visitor = Visitor(app, [("user-agent", PHONE)])
    visitor.accept()
    assert NAME not in visitor.refuse().set_cookies


# When the erasure cookie is set, read and deleted.


@pytest.mark.parametrize("purposes", [{}, {"media": True}])
def test_answer_that_withdraws_no_tracing_sets_no_erasure_cookie(purposes: dict[str, bool]) -> None:
    visitor = Visitor(install(access_log=MemorySink()), [("user-agent", PHONE)])
    visitor.save(media=True)
    assert NAME not in visitor.save(**purposes).set_cookies
    visitor.accept()
    assert NAME not in visitor.save(analytics=True).set_cookies


def test_erasure_cookie_reaches_neither_app_nor_tracing() -> None:
    visitor = Traced()
    visitor.refuse()
    token = visitor.jar[NAME]
    for name in (NAME, PLAIN, "__Host-visitor"):
        visitor.seen.clear()
        call(visitor.app, path="/three", headers=[("cookie", f"{name}={token}; session=1"), ("user-agent", PHONE)])
        assert visitor.seen == [["session=1"]]
    consent = visitor.accept().set_cookies["__Host-consent"].partition(";")[0]
    for name in (NAME, "__Host-visitor"):
        cookies = ("cookie", f"{consent}; {name}={token}")
        assert "__Host-visitor" in call(visitor.app, headers=[cookies, ("user-agent", PHONE)]).set_cookies
    assert len([record for record in visitor.sink.records if record["visitor.id"] == visitor.id]) == 2


def test_erasure_cookie_expires_with_record_retention() -> None:
    visitor = Traced()
    visitor.refuse()
    visitor.clock.forward(days=DAYS, seconds=-1)
    assert visitor.export()["withdrawn_visitor_ids"] == [visitor.id]
    visitor.clock.forward(seconds=1)
    assert visitor.export()["withdrawn_visitor_ids"] == []
    assert NAME not in visitor.erase().set_cookies


def test_grant_after_withdrawal_gives_a_second_erasable_id() -> None:
    visitor = Traced()
    visitor.refuse()
    visitor.clock.forward(days=1)
    visitor.accept()
    visitor.get("/three")
    export = visitor.export()
    assert export["visitor_id"] not in (None, visitor.id)
    assert visitor.paths() == ["/one", "/two", "/three"]
    shown = visible(visitor.get(PREFIX).text)
    assert visitor.id in shown
    assert export["visitor_id"] in shown
    reply = visitor.erase()
    assert reply.json["erased"] == 3
    assert {name for name, line in reply.set_cookies.items() if "Max-Age=0" in line} == {NAME, "__Host-visitor"}


def test_erase_on_withdrawal_also_erases_replaced_visitor_id() -> None:
    visitor = Traced(ERASE_ON_WITHDRAWAL)
    visitor.change_policy(ERASE_ON_WITHDRAWAL + ANOTHER_COOKIE)
    visitor.accept()
    assert NAME not in visitor.jar
    assert eventually(lambda: visitor.sink.records == [])


@pytest.mark.slow
def test_oldest_withdrawn_id_beyond_limit_is_erased() -> None:
    visitor = Traced()
    ids = []
    for number in range(MAX_WITHDRAWN + 1):
        visitor.accept()
        visitor.get(f"/{number}")
        ids.append(visitor.export()["visitor_id"])
        visitor.refuse()
        visitor.clock.forward(days=1)
    assert visitor.export()["withdrawn_visitor_ids"] == ids[1:]
    assert len(visitor.jar[NAME]) < 500
    app: Any = visitor.app
    app._site.access_log.erasing.close()
    assert {record["visitor.id"] for record in visitor.sink.records} == set(ids[1:])


def test_same_id_in_visitor_and_erasure_cookie_counts_once() -> None:
    visitor = Traced()
    before = dict(visitor.jar)
    visitor.refuse()
    visitor.jar |= before
    assert visitor.paths() == ["/one", "/two"]
    visitor.refuse()
    assert visitor.export()["withdrawn_visitor_ids"] == [visitor.id]
