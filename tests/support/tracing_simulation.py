"""Simulates random visitors at several workers of a site, and collects the records that the oracle expects."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.types import Message

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import JsonLinesSink
from tests.support.asgi import PHONE, PREFIX, ROBOT, Clock, Reply, bodies, drive, scope
from tests.support.policies import KEY
from tests.support.sites.tracing_site import PAGES, PLACES, POLICIES, BrokenError, language_of, site
from tests.support.tracing_oracle import (
    DAY,
    LIFETIME,
    MEDIA,
    SHOP_HOST,
    VERSIONS,
    Answer,
    Case,
    SimulatedRequest,
    outcomes,
)

DAYS = 200
WORKERS, VISITORS = 3, 60
RESTARTS = WORKERS * len(VERSIONS)
KINDS = {"page": 44, "map": 8, "data": 10, "missing": 4, "moved": 3, "same": 4, "broken": 2, "answer": 9, "event": 7,
         "own": 6, "talk": 3}  # fmt: skip


@dataclass
class Worker:
    """A simulated worker process, which shares only the access log with the others."""

    version: int
    app: ConsentMiddleware
    sink: JsonLinesSink


@dataclass
class Browser:
    """A visitor's browser.

    Args:
        host: the site; cookies belong to one host.
        consent: the consent cookies that it got, the newest last, with their answers; None for an unreadable one.
        visitor: the visitor cookie; "" for none.
        signals: the signals that it sends.
    """

    host: str
    consent: list[tuple[str, Answer | None]] = field(default_factory=list)
    visitor: str = ""
    signals: frozenset[str] = frozenset()


@dataclass
class Expected:
    """An access record that must exist.

    Args:
        values: its fields.
        visitor: the source of its pseudonym: the visitor cookie, or the day and the host.
    """

    values: dict[str, Any]
    visitor: str


class Simulation:
    """Random visitors at the workers of a site, and the records that the oracle expects.

    Args:
        seed: the seed of the random numbers.
        log: the access log.
    """

    def __init__(self, seed: int, log: Path) -> None:
        self.random = random.Random(seed)  # noqa: S311 (it draws visitors, no secrets)
        self.log, self.clock = log, Clock()
        self.workers = [self._worker(0) for _ in range(WORKERS)]
        self.browsers = [Browser(SHOP_HOST if n % 7 == 0 else "site.example") for n in range(VISITORS)]
        self.expected: dict[int, Expected] = {}
        self.counted: Counter[tuple[str, ...]] = Counter()
        self.requests = 0

    async def run(self, requests: int) -> None:
        self.requests = requests
        for number in range(requests):
            self.clock.forward(seconds=1 + self.random.expovariate(requests / (DAYS * DAY - requests)))
            if number % (requests // RESTARTS) == 0:
                await self._restart(number * RESTARTS // requests)
            await self._request(number, self.random.choice(self.browsers), self.random.choice(self.workers))
        for worker in self.workers:
            await stop(worker)

    def _worker(self, version: int) -> Worker:
        sink = JsonLinesSink(self.log)
        app = ConsentMiddleware(
            site,
            POLICIES[version],
            KEY,
            history=POLICIES[:version],
            access_log=sink,
            consent_days=LIFETIME // DAY,
            clock=self.clock,
        )
        return Worker(version, app, sink)

    async def _restart(self, turn: int) -> None:
        """Replace a worker by one with the next policy. The workers change their policy at different times."""
        await stop(self.workers[turn % WORKERS])
        self.workers[turn % WORKERS] = self._worker(turn // WORKERS)

    async def _request(self, number: int, browser: Browser, worker: Worker) -> None:
        if self.random.random() < 0.02:
            browser.consent, browser.visitor = [], ""  # without cookies the visitor is a new one
        for signal in ("gpc", "dnt"):
            if self.random.random() < 0.03:
                browser.signals ^= {signal}
        kind = self.random.choices([*KINDS], [*KINDS.values()])[0]
        if browser.visitor and kind in ("answer", "own"):
            # It may be a withdrawal. Then what other workers still hold of the visitor's records is left out.
            write_all(self.workers)
        place = self.random.choice([*PLACES])
        sent, answer = self._cookies(browser)
        service = "shop" if browser.host == SHOP_HOST else PLACES[place]
        method = self.random.choices(("GET", "HEAD", "POST"), (90, 4, 6))[0]
        request = SimulatedRequest(number, kind, f"{place}/{kind}/{number}", method, self._fields(browser, sent),
                        Case(worker.version, service, answer, browser.signals))  # fmt: skip
        act = {
            "answer": self._answer,
            "event": self._event,
            "own": self._open_own_page,
            "talk": self._open_websocket,
        }.get(kind, self._open_page)
        await act(request, browser, worker)

    def _cookies(self, browser: Browser) -> tuple[list[str], Answer | None]:
        """Return the cookies of a request, sometimes old or damaged ones, and the answer that counts."""
        kept, sent = browser.consent[-1:], []
        rng = self.random.random()
        if rng < 0.03:
            kept = browser.consent[-3:][::-1]
        elif rng < 0.05:
            kept = [(damaged(self.random, token), None) for token, _ in kept]
        sent = [f"__Host-consent={token}" for token, _ in kept]
        valid = [answer for _, answer in kept if answer and answer.at <= self.clock.now < answer.at + LIFETIME]
        if browser.visitor:
            sent.append(f"__Host-visitor={browser.visitor}")
        return sent, max(valid, key=lambda answer: answer.at, default=None)

    def _fields(self, browser: Browser, sent: list[str]) -> dict[str, str]:
        rng = self.random.random
        robot = rng() < 0.04
        fields = {"user-agent": ROBOT if robot else PHONE, "sec-fetch-site": "same-origin", "accept": "text/html"}
        fields["referer"] = self.random.choice(
            ("https://search.example/s3cr3t?q=s3cr3t", f"https://{browser.host}/before?s3cr3t")
        )
        if rng() < 0.8:
            fields["sec-fetch-dest"] = self.random.choices(("document", "iframe", "empty"), (8, 1, 1))[0]
        if rng() < 0.05:
            fields[self.random.choice(("sec-purpose", "purpose"))] = "prefetch;prerender"
        for name, signal in (("sec-gpc", "gpc"), ("dnt", "dnt")):
            if signal in browser.signals:
                fields[name] = "1"
            elif rng() < 0.1:
                fields[name] = self.random.choice(("0", "true", ""))
        return {**fields, **({"cookie": "; ".join(sent)} if sent else {})}

    async def _send(self, request: SimulatedRequest, browser: Browser, worker: Worker, path: str, **more: Any) -> Reply:
        """Send a request and keep the cookies of the response."""
        method, body = more.pop("method", request.method), more.pop("body", b"")
        query = b"utm_source=x&key=s3cr3t"
        sent = scope(method, path, request.fields.items(), host=browser.host, query=query, **more)
        heard = list[Message]()
        with suppress(BrokenError):
            await drive(worker.app, sent, bodies(body), heard.append)
        reply = Reply(heard)
        if heard and "__Host-visitor" in reply.set_cookies:
            browser.visitor = value_of(reply.set_cookies["__Host-visitor"])
        return reply

    async def _open_page(self, request: SimulatedRequest, browser: Browser, worker: Worker) -> None:
        before = browser.visitor
        await self._send(request, browser, worker, request.path)
        case, kind, method = request.case, request.kind, request.method
        if request.is_traced:
            self._expect(request, browser, {
                "record.kind": "view" if request.is_view else "request",
                "http.request.method": method,
                "http.response.status_code": 500 if kind == "broken" else PAGES.get(kind, 200),
                "url.query": "utm_source=x",
            })  # fmt: skip
        else:
            assert browser.visitor in left(request, before), "no visitor id without consent"
        if request.is_view:
            self._count(browser, "views")
            if request.is_traced:
                self._count(browser, "views_recorded")
            if case.signal_refuses():
                self._count(browser, "signal")
            if kind == "map" and MEDIA not in case.allowed():
                self._count(browser, "degraded", detail="map")
        if request.is_page and kind != "same" and case.asks() and not (request.is_robot and case.answer is None):
            self._count(browser, "asked", language=language_of(request.number))

    async def _answer(self, request: SimulatedRequest, browser: Browser, worker: Worker) -> None:
        """Answer on a page of a service or of the site. The endpoints belong to no service."""
        here = "shop" if browser.host == SHOP_HOST else ""
        before, shown = replace(request.case, service=here), request.case.service
        choice, ticked = self._choice(before)
        language = language_of(request.number)
        body: dict[str, Any] = {"choice": choice, "language": language, "service": shown}
        if choice in ("save", "grant"):
            body["purposes"] = {id_: id_ in ticked for id_ in before.purposes}
        request.fields["content-type"] = "application/json"
        visitor = browser.visitor
        reply = await self._send(request, browser, worker, PREFIX, method="POST", body=json.dumps(body).encode())
        if request.is_robot and request.case.answer is None:
            assert reply.status == 403
            return
        assert reply.status == 200, reply.text
        answer = before.after(choice, ticked, shown, int(self.clock.now))
        if answer.status == "unknown" and (before.answer is None or before.answer.status == "unknown"):
            assert reply.set_cookies == {}, "an answer that says nothing, as nothing was said before, is none"
            return
        browser.consent.append((value_of(reply.set_cookies["__Host-consent"]), answer))
        for counted in outcomes(before, answer):
            if counted != "unknown":
                self._count(browser, counted, language=language)
        traces = replace(before, service=shown, answer=answer).traces()
        assert traces or browser.visitor in ("", visitor), "no visitor id without consent"
        assert not (visitor and answer.refuses_tracing()) or browser.visitor == "", (
            "the withdrawal deletes the visitor id"
        )

    def _choice(self, before: Case) -> tuple[str, list[str]]:
        choice = self.random.choices(("accept_all", "refuse_all", "save", "grant"), (8, 2, 5, 1))[0]
        ticked = [id_ for id_ in before.purposes if self.random.random() < 0.8]
        return "refuse_all" if choice == "grant" and not ticked else choice, ticked

    async def _event(self, request: SimulatedRequest, browser: Browser, worker: Worker) -> None:
        event = {"name": "download", "path": request.path, "query": "utm_source=x&key=s3cr3t"}
        purpose = self.random.choice(("", MEDIA))
        if purpose:
            event["purpose"] = purpose
        request.fields["content-type"] = "application/json"
        before = browser.visitor
        reply = await self._send(
            request, browser, worker, f"{PREFIX}/events", method="POST", body=json.dumps(event).encode()
        )
        if request.is_traced and purpose in ("", *request.case.allowed()):
            assert reply.status == 204, reply.text
            extra = {"http.request.referrer": None, "consent.purpose": purpose or None}
            self._expect(request, browser, {
                "record.kind": "event", "event.name": "download", "url.query": "utm_source=x", **extra
            })  # fmt: skip
        else:
            assert reply.status == 403, reply.text
            assert browser.visitor == before, "no visitor id without consent"

    async def _open_own_page(self, request: SimulatedRequest, browser: Browser, worker: Worker) -> None:
        path = self.random.choice((PREFIX, f"{PREFIX}/state", f"{PREFIX}/policy", "/.well-known/gpc.json"))
        before = browser.visitor
        assert (await self._send(request, browser, worker, path, method="GET")).status == 200
        assert browser.visitor in left(request, before)

    async def _open_websocket(self, request: SimulatedRequest, browser: Browser, worker: Worker) -> None:
        before = browser.visitor
        await self._send(request, browser, worker, request.path, kind="websocket")
        assert browser.visitor in left(request, before)

    def _expect(self, request: SimulatedRequest, browser: Browser, values: Mapping[str, Any]) -> None:
        """Expect a record, under the pseudonym of the visitor cookie."""
        answer, home = request.case.answer, f"https://{browser.host}"
        assert answer, "a traced visitor has answered"
        common = {
            "came": self.clock.now,
            "record.version": 1,
            "server.address": browser.host,
            "url.path": request.path,
            "http.request.referrer": f"{home}/before"
            if request.fields["referer"].startswith(home)
            else "https://search.example",
            "client.address": "203.0.113.0",
            "user_agent.device": "mobile",
            "consent.policy": POLICIES[answer.version].version,
            "consent.purpose": None,
        }
        assert browser.visitor, "a traced visitor has a visitor id"
        self.expected[request.number] = Expected({**common, **values}, browser.visitor)

    def _count(self, browser: Browser, name: str, *, language: str = "", detail: str = "") -> None:
        day = f"{datetime.fromtimestamp(self.clock.now, UTC):%Y-%m-%d}"
        self.counted[day, browser.host, language, name, detail] += 1


def left(request: SimulatedRequest, before: str) -> set[str]:
    """Return the visitor cookies that may be left after a request that sets none: none, if the consent has ended."""
    return {before} if request.case.answer else {before, ""}


def damaged(rng: random.Random, token: str) -> str:
    """Return a token with one changed character."""
    place = rng.randrange(len(token))
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


def value_of(set_cookie: str) -> str:
    return "" if "max-age=0" in set_cookie.lower() else set_cookie.partition(";")[0].partition("=")[2]


def write_all(workers: Iterable[Worker]) -> None:
    """Have workers write the records that they hold."""
    for worker in workers:
        assert worker.sink._flush_now()


async def stop(worker: Worker) -> None:
    """Send a worker the end of its lifespan."""
    await drive(worker.app, {"type": "lifespan", "state": {}})
