"""Tests of visits that an exempt purpose records without consent: fields, daily ids and objections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_log import daily_salt_of
from tests.support.asgi import PHONE, PREFIX, ROBOT, SITE, Clock, Fields, Visitor, install, policy, run

TEXT = (
    SITE
    + """
[purposes.audience]
title = { en = "Audience", ja = "利用状況" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "90 days"
traces = true
exempt = "cnil_audience"
"""
)
AGENT = ("user-agent", PHONE)


class ExemptVisitor(Visitor):
    """A visitor of a site that records visits without consent, and the records of the site."""

    def __init__(self, headers: Fields = (AGENT,), **options: Any) -> None:
        self.sink, self.clock = MemorySink(), Clock()
        super().__init__(install(text=TEXT, access_log=self.sink, clock=self.clock, **options), headers)

    def record(self, path: str = "/", headers: Fields = (), **more: Any) -> dict[str, Any]:
        """Get a page and return its record."""
        before = len(self.sink.records)
        self.get(path, headers, **more)
        (record,) = self.sink.records[before:]
        return record

    def visitor_id(self, headers: Fields = (), **more: Any) -> str:
        return str(self.record(headers=headers, **more)["visitor.id"])


def test_visit_without_answer_is_recorded_without_cookie() -> None:
    visitor = ExemptVisitor()
    reply = visitor.get("/office")
    (record,) = visitor.sink.records
    assert (record["url.path"], record["consent.purpose"]) == ("/office", "audience")
    assert record["consent.policy"] == policy(TEXT).version
    assert record["client.address"] == "203.0.113.0"
    assert (reply.all("set-cookie"), visitor.jar) == ([], {})


def test_daily_id_is_not_kept_in_memory() -> None:
    visitor = ExemptVisitor()
    assert isinstance(visitor.app, ConsentMiddleware)
    log = visitor.app._installed.access_log
    assert log is not None
    visitor.get("/")
    assert log.tracing._visitors == {}
    visitor.accept()
    visitor.get("/")
    assert len(log.tracing._visitors) == 1


def test_exempt_record_has_referrer_origin_and_no_query() -> None:
    visitor = ExemptVisitor()
    for referrer, kept in (
        ("https://other.example/secret?q=1", "https://other.example"),
        ("https://site.example/secret?q=1", "https://site.example"),
        ("nonsense", None),
    ):
        record = visitor.record("/", [("referer", referrer)], query=b"utm_source=mail&q=1")
        assert record.get("http.request.referrer") == kept
        assert "url.query" not in record
    visitor.accept()
    record = visitor.record("/", [("referer", "https://site.example/page")], query=b"utm_source=mail&q=1")
    assert record["url.query"] == "utm_source=mail"


def test_consent_replaces_daily_id_and_refusal_ends_recording() -> None:
    visitor = ExemptVisitor()
    before_consent = visitor.record()
    visitor.accept()
    traced = visitor.record()
    assert "consent.purpose" not in traced
    assert traced["visitor.id"] != before_consent["visitor.id"]
    assert "__Host-visitor" in visitor.jar
    for refuse in (visitor.refuse, lambda: visitor.save(media=True)):
        refuse()
        visitor.get("/")
    assert "__Host-visitor" not in visitor.jar
    assert len(visitor.sink.records) == 2
    visitor.save(audience=True)
    assert visitor.visitor_id() == before_consent["visitor.id"]
    assert "__Host-visitor" not in visitor.jar


@pytest.mark.parametrize(
    "headers",
    [[AGENT, ("sec-gpc", "1")], [AGENT, ("dnt", "1")], [AGENT, ("sec-purpose", "prefetch")], [("user-agent", ROBOT)]],
    ids=["gpc", "dnt", "prefetch", "robot"],
)
def test_signal_prefetch_or_robot_prevents_recording(headers: Fields) -> None:
    visitor = ExemptVisitor(headers)
    visitor.get("/")
    assert visitor.sink.records == []


def test_daily_id_changes_with_day_and_host() -> None:
    visitor = ExemptVisitor()
    today = visitor.visitor_id()
    assert visitor.visitor_id() == today
    assert visitor.visitor_id(host="shop.example") != today
    visitor.clock.forward(days=1)
    assert visitor.visitor_id() != today


def test_visit_without_address_is_recorded() -> None:
    visitor = ExemptVisitor()
    for client in (None, ("unix:", 0)):
        record = visitor.record(client=client)
        assert "client.address" not in record
        assert len(record["visitor.id"]) == 22


def test_exempt_recording_leaves_page_cacheable() -> None:
    visitor = ExemptVisitor(inject=False)
    reply = visitor.get("/")
    assert (reply.all("vary"), reply.all("cache-control")) == ([], [])
    assert len(visitor.sink.records) == 1


def test_salt_is_beside_access_log_and_needed_for_recording(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "access.jsonl"
    visitor = Visitor(install(text=TEXT, access_log=log), [AGENT])
    visitor.get("/")
    salt = log.with_name("access.jsonl.salt")
    assert salt.stat().st_mode & 0o777 == 0o600
    other = Visitor(install(text=TEXT, access_log=log), [AGENT])
    other.get("/")
    salt.unlink()
    salt.mkdir()
    third = Visitor(install(text=TEXT, access_log=log), [AGENT])
    third.get("/nowhere")
    for site in (visitor, other, third):
        site.app._installed.access_log.close()  # type: ignore[attr-defined]
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [record["url.path"] for record in records] == ["/", "/"]
    assert len({record["visitor.id"] for record in records}) == 1


def test_startup_overwrites_salt_of_past_day(tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def ignore(message: Message) -> None:
        pass

    clock, log = Clock(), tmp_path / "access.jsonl"
    Visitor(install(text=TEXT, access_log=log, clock=clock), [AGENT]).get("/")
    salt = log.with_name("access.jsonl.salt")
    assert salt.read_bytes().strip()
    clock.forward(days=1)
    site = install(app, TEXT, access_log=log, clock=clock)
    run(site({"type": "lifespan"}, ignore, ignore))  # type: ignore[arg-type]
    assert not salt.read_bytes().strip()


@pytest.mark.parametrize(
    ("access_log", "place"),
    [
        ("logs/access.jsonl", "logs/access.jsonl.salt"),
        ("file:///logs/access.jsonl", "/logs/access.jsonl.salt"),
        ("mq://localhost/STREAM?spill=/waiting", "/waiting.salt"),
        (Path("access.jsonl"), "access.jsonl.salt"),
    ],
)
def test_salt_path_is_beside_local_path_of_access_log(access_log: str | Path, place: str) -> None:
    assert vars(daily_salt_of(access_log))["_path"] == Path(place)
    assert vars(daily_salt_of(MemorySink()))["_path"] is None


def test_policy_without_exemption_makes_no_salt_file(tmp_path: Path) -> None:
    visitor = Visitor(install(access_log=tmp_path / "access.jsonl"), [AGENT])
    visitor.get("/")
    visitor.app._installed.access_log.close()  # type: ignore[attr-defined]
    assert not (tmp_path / "access.jsonl.salt").exists()


def test_settings_page_explains_the_daily_identifier() -> None:
    visitor = ExemptVisitor()
    explanation = "by an identifier that changes every day"
    assert explanation in visitor.get(PREFIX).text
    visitor.refuse()
    assert explanation not in visitor.get(PREFIX).text
