"""Stateful test: two visitors take random steps at a site, and all stores are compared with a model.

After each step the decision, the ledger, the receipt, both log files and the verification of the chain are as the model
expects. With --full-matrix there are more runs, and longer ones.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cookie_consent import ConsentMiddleware
from cookie_consent.base.clock import rfc3339
from cookie_consent.decision.own_cookies import MAX_WITHDRAWN
from cookie_consent.decision.record import CONSENT_LIFETIME
from cookie_consent.ledgers import open_ledger
from cookie_consent.ledgers.chain import Root, verify
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files.closed_files import counts_path, live_paths
from cookie_consent.tracing.access_record import VisitorLag
from tests.support.asgi import PHONE, PREFIX, Clock, Visitor, drive, install, page_app
from tests.support.asgi import SITE as ASGI_SITE
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import new_id
from tests.support.policies import KEY

DAY = 86_400.0
LIFE = CONSENT_LIFETIME.total_seconds()
KEPT = 60_000 * DAY
"""How long records are kept: so long that the site itself never removes any. Rules of this machine do."""
SITE = ASGI_SITE.replace('retention = "30 days"', 'retention = "60000 days"') + '[records]\nkeep = "60000 days"\n'
PURPOSES = ("analytics", "media")
OF_A_PAGE = (("accept", "text/html"), ("sec-fetch-dest", "document"))
COOKIE = '\n[[cookies]]\nname = "more"\npurpose = "{}"\n'
POLICIES = {
    "as it was": (SITE, ("a", "m")),
    "in other words": (SITE.replace("We count visits.", "We count each visit."), ("a", "m")),
    "more for analytics": (SITE + COOKIE.format("analytics"), ("a+", "m")),
    "more for media": (SITE + COOKIE.format("media"), ("a", "m+")),
}
"""Name of a policy -> its text, and the material facts of each purpose."""
GRANTED, REFUSED, OPEN = "granted", "refused", "open"
CHOICES = [
    {"choice": "accept_all"},
    {"choice": "refuse_all"},
    {"choice": "save", "purposes": {"analytics": True}},
    {"choice": "save", "purposes": {"media": True}},
    {"choice": "grant", "purposes": {"analytics": True}},
    {"choice": "grant", "purposes": {"media": True}},
]
_LAG = VisitorLag(KEY)
NOT_PLAYED = ("asked_first", "answered_first", "settings", "arrived_on_error")
"""Counts of which the model knows nothing; `tests/tracing/test_counts.py` has them, and the sums by one thing."""


@dataclass
class Proof:
    """An expected record of the ledger."""

    event: str
    whose: int | None = None
    granted: tuple[str, ...] = ()
    keep_until: float | None = None
    is_removed: bool = False


@dataclass
class Answer:
    """An expected answer in the consent cookie."""

    states: dict[str, str]
    facts: dict[str, str]
    at: int
    has_id: bool
    first: int
    """The index in the ledger of the first record with this answer's id."""

    @property
    def granted(self) -> tuple[str, ...]:
        return tuple(purpose for purpose in PURPOSES if self.states[purpose] == GRANTED)

    @property
    def status(self) -> str:
        states = {*self.states.values()}
        return "partial" if len(states) > 1 else {GRANTED: "granted", REFUSED: "refused", OPEN: "unknown"}[states.pop()]


@dataclass
class Life:
    """A visitor: the browser, and what the model expects of it."""

    browser: Visitor
    answer: Answer | None = None
    id: str | None = None
    id_until: float = 0
    withdrawn: list[str] = field(default_factory=list)
    """The ids that serve for erasure only, the oldest first."""
    traces: list[tuple[str, float]] = field(default_factory=list)
    """Visitor id and time of each access record."""


class WholeLife(RuleBasedStateMachine):
    """Two visitors, a site, and a clock."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        place = Path(mkdtemp(dir=self.folder))
        self.threads_before = {*threading.enumerate()}
        self.clock = Clock(1_750_000_000 - 1_750_000_000 % DAY + DAY / 2)
        self.log = place / "access.jsonl"
        self.sink = JsonLinesSink(self.log, compress=None)
        self.ledger = open_ledger(ledger_url(place))
        self.lives: list[Life] = []
        self.proofs: list[Proof] = []
        self.roots: list[Root] = []
        self.counted: Counter[tuple[str, str]] = Counter()
        self.facts: dict[str, str] = {}

    def teardown(self) -> None:
        self.wait_for_threads()
        self.ledger.close()
        self.sink.close()

    # Steps.

    @initialize(name=st.sampled_from(sorted(POLICIES)))
    def begin(self, name: str) -> None:
        self.app = self.site(name)
        self.lives = [Life(Visitor(self.app, [("user-agent", PHONE)])) for _ in range(2)]

    @rule(name=st.sampled_from(sorted(POLICIES)))
    def change_the_policy(self, name: str) -> None:
        self.shut_down()
        self.app = self.site(name)
        for life in self.lives:
            life.browser.app = self.app

    @rule(days=st.sampled_from([0.1, 1, 2, 29, 31, 100, 183, 185, 400, 1100]))
    def time_goes_by(self, days: float) -> None:
        self.pass_time(days * DAY)

    @rule(who=st.integers(0, 1), said=st.sampled_from(CHOICES))
    def give_an_answer(self, who: int, said: dict[str, Any]) -> None:
        self.pass_time(3600)
        life, now = self.lives[who], self.clock.now
        before, held, asked = self.valid_answer(life), self.allowed(life), self.asks(life)
        after = self.expected_answer(before, held, said, int(now))
        traced_before = life.id if held["analytics"] else None
        assert life.browser.post(said).status == 200
        self.expect_proof(who, before, after)
        life.answer = after
        event = self.event(before, after)
        outcome = event if event == "withdrawn" else after.status
        if outcome != "unknown":
            self.expect_count(outcome)
        if event != "withdrawn" and before is not None and not asked:
            self.expect_count("changed")
        if after.states["analytics"] == REFUSED and life.id is not None:
            if now < life.id_until:
                self.expect_withdrawn_id(life, life.id)
            life.id = None
        elif after.states["analytics"] == GRANTED and (traced_before is None or now >= life.id_until):
            if life.id is not None and now < life.id_until:
                self.expect_withdrawn_id(life, life.id)
            self.expect_new_id(life)

    @rule(who=st.integers(0, 1))
    def visit_a_page(self, who: int) -> None:
        self.pass_time(60)
        life, now = self.lives[who], self.clock.now
        traced = self.allowed(life)["analytics"]
        asks = self.asks(life)
        assert ("pchoice-title" in life.browser.get("/", OF_A_PAGE).text) == asks
        self.wait_for_threads()
        self.expect_count("views")
        if asks:
            self.expect_count("asked")
        if not traced:
            if (life.answer and life.answer.states["analytics"] == REFUSED and self.valid_answer(life)) or (
                self.has_ended(life)
            ):
                life.id = None
            return
        self.expect_count("views_recorded")
        if life.id is None or now >= life.id_until:
            self.expect_new_id(life)
        assert life.id is not None
        life.traces.append((life.id, now - _LAG(life.id)))

    @rule(who=st.integers(0, 1))
    def erase(self, who: int) -> None:
        self.pass_time(60)
        life, now = self.lives[who], self.clock.now
        ids = {*life.withdrawn}
        if life.id is not None and now < life.id_until:
            ids.add(life.id)
        reply = life.browser.post({}, [("accept", "application/json")], path=f"{PREFIX}/erase").json
        assert reply["erased"] == sum(id_ in ids for id_, _ in life.traces)
        assert len(reply["consent_records"]) == len(self.proofs_of(life))
        life.traces = [(id_, time) for id_, time in life.traces if id_ not in ids]
        if life.id is not None and now < life.id_until:
            life.id = None
        life.withdrawn.clear()

    @rule(days=st.sampled_from([1, 10, 30, 60]), dry_run=st.booleans())
    def purge_access_records(self, days: int, dry_run: bool) -> None:
        self.shut_down()
        now, keep = self.clock.now, days * DAY + DAY / 4
        before = self.log_files()
        length = timedelta(seconds=keep)
        due = [time for life in self.lives for _, time in life.traces if time < now - keep]
        assert self.sink.purge(now, length, dry_run=dry_run) == len(due)
        if dry_run:
            assert self.log_files() == before
        else:
            for life in self.lives:
                life.traces = [(id_, time) for id_, time in life.traces if time >= now - keep]
            oldest = rfc3339(now - keep)
            self.counted = Counter({key: n for key, n in self.counted.items() if f"{key[0]}T00:00:00Z" >= oldest})

    @rule(years=st.sampled_from([0, 1, 200]), dry_run=st.booleans())
    def purge_the_ledger(self, years: int, dry_run: bool) -> None:
        now = self.clock.now + years * 365 * DAY
        before = list(self.ledger.links()), list(self.ledger.cited())
        due = [proof for proof in self.proofs if not proof.is_removed and proof.keep_until and proof.keep_until <= now]
        found = self.ledger.remove(now=now, make_id=new_id, dry_run=dry_run)
        assert (found.records, found.misfiled) == (len(due), 0)
        if dry_run:
            assert (list(self.ledger.links()), list(self.ledger.cited())) == before
            return
        for proof in due:
            proof.is_removed = True
        if due:
            self.proofs.append(Proof("removed"))

    # Comparisons.

    @invariant()
    def state_matches_the_answer(self) -> None:
        for life in self.lives:
            answer, state = self.valid_answer(life), life.browser.state()
            self.expect_end(life)
            assert state["purposes"] == {"necessary": True, **self.allowed(life)}
            assert state["should_ask"] == self.asks(life)
            assert state["status"] == (answer.status if answer else "unknown")
            assert state["decided_at"] == (rfc3339(answer.at) if answer else None)

    @invariant()
    def receipt_and_export_match_the_ledger(self) -> None:
        for life in self.lives:
            answer, kept = self.valid_answer(life), self.proofs_of(life)
            reply = life.browser.get(f"{PREFIX}/receipt")
            self.expect_end(life)
            assert reply.status == (200 if answer else 404)
            if answer:
                receipt = reply.json
                assert (receipt["decided_at"], receipt["status"]) == (rfc3339(answer.at), answer.status)
                assert receipt["granted"] == list(answer.granted)
                assert (receipt["consent_id"] is not None) == answer.has_id
            export = life.browser.get(f"{PREFIX}/export").json
            exported = [(record["event"], tuple(record["granted"])) for record in export["consent_records"]]
            assert exported == [(proof.event, proof.granted) for proof in kept]
            withdrawn = {*life.withdrawn}
            now = life.id if life.id is not None and self.clock.now < life.id_until else None
            assert (export["visitor_id"], {*export["withdrawn_visitor_ids"]}) == (now, withdrawn)
            times = sorted(rfc3339_ms(time) for id_, time in life.traces if id_ == now or id_ in withdrawn)
            assert sorted(record["time"] for record in export["access_records"]) == times

    @invariant()
    def logs_match_the_model(self) -> None:
        self.shut_down()
        expected = Counter((id_, rfc3339_ms(time)) for life in self.lives for id_, time in life.traces)
        assert Counter((record["visitor.id"], record["time"]) for record in lines(self.log)) == expected
        found: Counter[tuple[str, str]] = Counter()
        for one in lines(counts_path(self.log)):
            if "_by_" not in one["count.name"] and one["count.name"] not in NOT_PLAYED:
                found[one["count.day"], one["count.name"]] += one["count.value"]
        assert found == +self.counted

    @invariant()
    def ledger_matches_the_model_and_its_chain_is_valid(self) -> None:
        found = verify(self.ledger.links(), self.roots)
        assert (found.wrong, found.why) == (None, "")
        assert (found.records, found.removed) == (len(self.proofs), sum(proof.is_removed for proof in self.proofs))
        self.roots = [*self.roots[-5:], found.root]
        links = list(self.ledger.links())
        assert [link.document is None for link in links] == [proof.is_removed for proof in self.proofs]
        said = [json.loads(link.document) for link in links if link.document]
        assert [one["event"] for one in said] == [proof.event for proof in self.proofs if not proof.is_removed]

    # The model.

    def site(self, name: str) -> ConsentMiddleware:
        text, facts = POLICIES[name]
        self.facts = dict(zip(PURPOSES, facts, strict=True))
        return install(page_app(), text, clock=self.clock, ledger=self.ledger, access_log=self.sink)

    def valid_answer(self, life: Life) -> Answer | None:
        answer = life.answer
        return answer if answer and answer.at <= self.clock.now < answer.at + LIFE else None

    def has_ended(self, life: Life) -> bool:
        """Tell whether the visitor's last answer was a consent that is not valid any more."""
        return life.answer is not None and bool(life.answer.granted) and self.valid_answer(life) is None

    def allowed(self, life: Life) -> dict[str, bool]:
        answer = self.valid_answer(life)
        if answer is None:
            return dict.fromkeys(PURPOSES, False)
        return {id_: answer.states[id_] == GRANTED and answer.facts[id_] == self.facts[id_] for id_ in PURPOSES}

    def asks(self, life: Life) -> bool:
        answer, allowed = self.valid_answer(life), self.allowed(life)
        return answer is None or any(
            answer.states[purpose] == OPEN or (answer.states[purpose] == GRANTED and not allowed[purpose])
            for purpose in PURPOSES
        )

    def expected_answer(self, before: Answer | None, held: dict[str, bool], said: dict[str, Any], now: int) -> Answer:
        ticked, choice = said.get("purposes", {}), said["choice"]
        states = {}
        for purpose in PURPOSES:
            if choice == "accept_all" or ticked.get(purpose):
                states[purpose] = GRANTED
            elif choice != "grant":
                states[purpose] = REFUSED
            elif held[purpose]:
                states[purpose] = GRANTED
            else:
                states[purpose] = REFUSED if before and before.states[purpose] == REFUSED else OPEN
        return Answer(states, dict(self.facts), now, has_id=False, first=0)

    @staticmethod
    def event(before: Answer | None, after: Answer) -> str:
        had, has = before.granted if before else (), after.granted
        if had and not has:
            return "withdrawn"
        if had in ((), has):
            return "granted" if has else "refused"
        return "changed"

    def expect_proof(self, who: int, before: Answer | None, after: Answer) -> None:
        """Expect a record of an answer. Records with one id are those of one visitor since the first with that id."""
        earlier = self.with_id_of(who, before) if before and before.has_id else []
        tells = any(proof.granted or proof.event == "withdrawn" for proof in earlier)
        if before and before.has_id and (before.granted or tells):
            after.has_id, after.first = True, before.first
        else:
            after.has_id, after.first = bool(after.granted), len(self.proofs)
        whose = who if after.has_id else None
        self.proofs.append(Proof(self.event(before, after), whose, after.granted, after.at + LIFE + KEPT))

    def with_id_of(self, who: int, answer: Answer) -> list[Proof]:
        return [proof for proof in self.proofs[answer.first :] if proof.whose == who and not proof.is_removed]

    def proofs_of(self, life: Life) -> list[Proof]:
        answer = self.valid_answer(life)
        return self.with_id_of(self.lives.index(life), answer) if answer and answer.has_id else []

    def expect_count(self, name: str) -> None:
        self.counted[rfc3339(self.clock.now)[:10], name] += 1

    def expect_new_id(self, life: Life) -> None:
        """Expect that the browser has just received a new visitor id."""
        known = {id_ for other in self.lives for id_, _ in other.traces} | {*life.withdrawn, life.id}
        life.id, life.id_until = life.browser.jar["__Host-visitor"].partition(".")[0], int(self.clock.now) + 395 * DAY
        assert life.id not in known

    def expect_withdrawn_id(self, life: Life, visitor_id: str) -> None:
        """Expect that an id serves for erasure only, and that the oldest id beyond the limit is erased at once."""
        life.withdrawn.append(visitor_id)
        for oldest in life.withdrawn[:-MAX_WITHDRAWN]:
            life.withdrawn.remove(oldest)
            life.traces = [(id_, time) for id_, time in life.traces if id_ != oldest]

    def expect_end(self, life: Life) -> None:
        """Expect that the id of an ended consent serves for erasure only, now that an endpoint was opened."""
        if self.has_ended(life) and life.id is not None:
            if self.clock.now < life.id_until:
                self.expect_withdrawn_id(life, life.id)
            life.id = None

    # Time, threads and restarts.

    def pass_time(self, seconds: float) -> None:
        """Move the clock, and let somebody visit the site, which may remove due records then."""
        self.clock.forward(seconds=seconds)
        Visitor(self.app).get(f"{PREFIX}/state")
        self.wait_for_threads()

    def wait_for_threads(self) -> None:
        """Wait for the threads of the site that remove and erase records."""
        for thread in {*threading.enumerate()} - self.threads_before:
            if thread.name in ("consent-retention", "consent-erasing"):
                thread.join(30)
                assert not thread.is_alive()

    def shut_down(self) -> None:
        """Tell the site that the server shuts down. The next request works as after a start."""
        events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        asyncio.run(drive(self.app, {"type": "lifespan", "state": {}}, events))

    def log_files(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.log, counts_path(self.log)) if path.exists()]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of live files; erased lines are blank."""
    for live in live_paths(path):
        yield from (json.loads(line) for line in live.read_bytes().splitlines() if line.strip())


def rfc3339_ms(seconds: float) -> str:
    """Return a time with milliseconds, in the format of access records."""
    whole, rest = divmod(int(seconds * 1000), 1000)
    return f"{rfc3339(whole).removesuffix('Z')}.{rest:03}Z"


@pytest.mark.slow
@pytest.mark.no_cover
def test_cookies_ledger_receipt_and_logs_agree_after_any_steps(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WholeLife, "folder", tmp_path, raising=False)
    lives, steps = (40, 40) if pytestconfig.getoption("--full-matrix") else (6, 30)
    run_state_machine_as_test(
        WholeLife,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
