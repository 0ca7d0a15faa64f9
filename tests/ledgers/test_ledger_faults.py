"""Tests of ledgers under faults, with real processes: each answer that got a 200 is kept, and the chain stays valid."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from cookie_consent.decision.own_cookies import HTTP, OwnCookies
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.chain import Verified, verify
from tests.support.asgi import PREFIX, run
from tests.support.ledger_writer import RECORDS_AT_ONCE, ROOT, entry, run_writers
from tests.support.policies import KEY, NOW
from tests.support.servers.child_site import Site, started
from tests.support.servers.postgres import PrivateServer
from tests.support.servers.processes import running_program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

VISITORS = 12
CHOICES = ("accept_all", "refuse_all", "accept_all")
LONGEST = 60
OWN = OwnCookies([KEY])
sqlite_stands_for_both = pytest.mark.each_value(all_of="sqlite", at_most=0)


@contextmanager
def site(url: str, tmp_path: Path) -> Iterator[Site]:
    """Serve a site with a ledger at this URL."""
    log = tmp_path / f"site-{time.monotonic_ns()}.log"
    with started("tests.support.sites.live_site:site", ROOT, log, ("127.0.0.1", 0), {"LEDGER": url}) as site:
        yield site


@dataclass
class Answers:
    """Gives answers as several visitors, and remembers which were kept.

    Args:
        address: the address of the site.
    """

    address: str
    kept: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0
    refused: int = 0
    lost: bool = False
    _awaited: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition on the answers holds."""
        event = asyncio.Event()
        self._awaited.append((holds, event))
        async with asyncio.timeout(LONGEST):
            await event.wait()

    async def give(self, count: int) -> None:
        """Let visitors answer until this many more answers are kept, or the site is down."""
        most = self.count + count
        await self.give_until(lambda: self.count >= most)

    async def give_until(self, enough: Callable[[], bool]) -> None:
        """Let visitors answer until a condition holds, or the site is down."""
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(self._visitor(number, enough) for number in range(VISITORS)))

    async def _visitor(self, number: int, enough: Callable[[], bool]) -> None:
        """Answer three times as each of several visitors, one after the other.

        A ledger keeps the answers of all visitors at once, so they go on in step. The first round of most is
        shorter: whenever a fault comes, somebody is about to refuse.
        """
        choices = CHOICES[: 1 + number % len(CHOICES)]
        with suppress(httpx.TransportError):
            async with self.client() as client:
                while not enough():
                    client.cookies.clear()
                    for choice in choices:
                        if not await self._answer(client, choice):
                            break
                    choices = CHOICES
            return
        self.lost = True

    async def _answer(self, client: httpx.AsyncClient, choice: str) -> bool:
        """Answer, and return whether the site accepted the answer."""
        reply = await client.post(PREFIX, json={"choice": choice, "source": "banner", "surface": "banner"})
        if reply.status_code == httpx.codes.OK:
            (record,) = OWN.read_records(f"consent={client.cookies['consent']}".encode(), place=HTTP)
            self.kept.setdefault(record.consent_id, []).append(reply.json()["status"])
            self.count += 1
        else:
            self.refused += 1
            assert reply.status_code == httpx.codes.SERVICE_UNAVAILABLE, reply.text
            assert reply.headers["content-type"] == "application/problem+json"
            assert "set-cookie" not in reply.headers
        for holds, event in self._awaited:
            if holds():
                event.set()
        return reply.status_code == httpx.codes.OK

    def client(self) -> httpx.AsyncClient:
        fields = {"sec-fetch-site": "same-origin", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
        return httpx.AsyncClient(base_url=self.address, headers=fields, trust_env=False, timeout=LONGEST)

    async def pages(self) -> None:
        """Check that pages are served, whatever the state of the ledger."""
        async with self.client() as client:
            for path in ("/", PREFIX, f"{PREFIX}/state"):
                reply = await client.get(path)
                assert reply.status_code == httpx.codes.OK, reply.text


def verify_answers(ledger: Ledger, given: Answers) -> Verified:
    """Check that each confirmed answer is kept, in order, and that the chain is valid."""
    found = verify(ledger.links())
    assert found.wrong is None, found
    documents = [json.loads(link.document) for link in ledger.links() if link.document is not None]
    statuses: dict[str, list[str]] = {}
    for document in documents:
        statuses.setdefault(document["consent_id"], []).append(document["status"])
    for consent_id, kept in given.kept.items():
        assert statuses.get(consent_id, [])[: len(kept)] == kept
    cited = {name for _, name, _ in ledger.cited()}
    assert {document[name] for document in documents for name in ("policy", "text", "prevailing_text")} <= cited
    assert len({document["record_id"] for document in documents}) == len(documents), "an answer is kept twice"
    return found


async def check_recovery(given: Answers, site: Site) -> None:
    """Check that answers are accepted again, and that the ledger gets the refusals that it could not keep."""
    refused = given.refused
    await given.give(50)
    await given.pages()
    assert given.refused == refused
    await asyncio.to_thread(wait_until, lambda: told(site)[0] == told(site)[1], LONGEST)


def told(site: Site) -> tuple[set[str], set[str]]:
    """Return the ids of the records that waited for the ledger, and of those that it got, as the log tells them."""
    log = site.log.read_text("utf-8")
    waited = {json.loads(record)["record_id"] for record in re.findall("waits for the ledger: (.*)", log)}
    return waited, set(re.findall("has kept the record that waited: (.*)", log))


@pytest.fixture
def answers(request: pytest.FixtureRequest) -> int:
    """How many answers are given."""
    return 1000 if request.config.getoption("--full-matrix") else 150


def check_ledger(url: str, given: Answers, *, at_most: int | None = None) -> None:
    """Check that all confirmed answers are kept, and no more records than `at_most`."""
    with closing(open_ledger(url)) as ledger:
        records = verify_answers(ledger, given).records
    assert given.count <= records <= (given.count if at_most is None else at_most)


@sqlite_stands_for_both
def test_confirmed_answers_survive_kill_of_app(url: str, tmp_path: Path, answers: int) -> None:
    async def answer_until_killed(site: Site) -> Answers:
        given = Answers(site.address)

        async def kill() -> None:
            await given.until(lambda: given.count >= answers // 2)
            site.process.kill()

        await asyncio.gather(kill(), given.give(answers))
        return given

    with site(url, tmp_path) as killed:
        given = run(answer_until_killed(killed))
        assert killed.process.wait(LONGEST) == -signal.SIGKILL
    assert given.lost
    assert given.refused == 0
    # Each visitor may have one more answer, kept just before the kill but not confirmed.
    check_ledger(url, given, at_most=given.count + VISITORS)

    async def go_on(site: Site) -> None:
        given.address, given.lost = site.address, False
        await given.give(answers - given.count)

    with site(url, tmp_path) as again:
        run(go_on(again))
    check_ledger(url, given, at_most=given.count + VISITORS)


@pytest.mark.parametrize("end", [pytest.param("stop", marks=pytest.mark.full_matrix), "kill"])
def test_confirmed_answers_survive_restart_of_postgresql(
    private_postgres: PrivateServer, tmp_path: Path, answers: int, end: str
) -> None:
    url = private_postgres.new_database()

    async def give(site: Site) -> Answers:
        given = Answers(site.address)

        async def end_and_start() -> None:
            await given.until(lambda: given.count >= answers // 2)
            await asyncio.to_thread(getattr(private_postgres, end))
            before = given.refused
            await given.pages()
            await given.until(lambda: given.refused > before + VISITORS)
            await given.pages()
            await asyncio.to_thread(private_postgres.start)

        await asyncio.gather(end_and_start(), given.give(answers))
        await check_recovery(given, site)
        return given

    with site(url, tmp_path) as one:
        given = run(give(one))
        assert one.process.poll() is None, "the app must not stop"
        assert told(one)[0], "some refusals waited"
    assert given.refused > 0
    # Each visitor may have one more answer, kept just before the server stopped but reported as refused.
    check_ledger(url, given, at_most=given.count + VISITORS)


def test_site_starts_before_postgresql_does(private_postgres: PrivateServer, tmp_path: Path) -> None:
    url = private_postgres.new_database()
    private_postgres.stop()

    async def answers(site: Site) -> Answers:
        given = Answers(site.address)
        await given.pages()
        await given.give_until(lambda: given.refused > VISITORS)
        await asyncio.to_thread(private_postgres.start)
        await check_recovery(given, site)
        return given

    with site(url, tmp_path) as one:
        given = run(answers(one))
    assert given.refused > 0
    check_ledger(url, given)
    assert "cannot be used yet, and nothing can be allowed until it can" in one.log.read_text("utf-8")


class Disk(Protocol):
    """A disk that can be filled and emptied again."""

    folder: Path

    async def fill(self, client: httpx.AsyncClient) -> None: ...

    async def free_space(self, client: httpx.AsyncClient) -> None: ...


class SmallDisk:
    """A small file system of its own, filled by another file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._other = folder / "other"

    async def fill(self, client: httpx.AsyncClient) -> None:
        with self._other.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))

    async def free_space(self, client: httpx.AsyncClient) -> None:
        self._other.unlink()


class LimitedProcess:
    """A process with a limit on the size of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def fill(self, client: httpx.AsyncClient) -> None:
        largest = max(file.stat().st_size for file in self.folder.iterdir())
        assert (await client.get("/limit", params={"bytes": largest + 100_000})).status_code == httpx.codes.OK

    async def free_space(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/limit")).status_code == httpx.codes.OK


@pytest.fixture(params=[pytest.param("small disk", marks=pytest.mark.full_matrix), "limited process"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limited process":
        yield LimitedProcess(folder)
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, check=False, timeout=60
    )
    if mounted.returncode:
        pytest.skip("Only root may mount a small disk; the limited process shows the same.")
    yield SmallDisk(folder)
    subprocess.run(["umount", str(folder)], check=True, timeout=60)


def test_full_disk_refuses_answers_until_space_is_freed(disk: Disk, tmp_path: Path) -> None:
    url = f"sqlite:///{disk.folder}/consent.db"

    async def answers(site: Site) -> Answers:
        given = Answers(site.address)
        async with given.client() as client:
            await given.give(100)
            assert given.refused == 0
            await disk.fill(client)
            # Some records still fit into free pages of the files.
            await given.give_until(lambda: given.refused > 3 * VISITORS)
            await given.pages()
            await disk.free_space(client)
        await check_recovery(given, site)
        return given

    with site(url, tmp_path) as one:
        given = run(answers(one))
        assert one.process.poll() is None
    assert given.refused > 0
    check_ledger(url, given)


def fill(url: str, due: int, others: int) -> None:
    """Keep records that are due, and others that are not."""

    async def append() -> None:
        with closing(open_ledger(url)) as ledger:
            left = [
                *(entry(f"due {number}", keep_until=NOW) for number in range(due)),
                *(entry(f"stays {number}", keep_until=NOW + 1, text="<p>Stays.</p>") for number in range(others)),
            ]
            while left:
                await asyncio.gather(*(ledger.append(one) for one in left[:1500]))
                del left[:1500]

    run(append())


def removals(ledger: Ledger) -> list[int]:
    """Return the numbers that removal records list, with repetitions."""
    numbers: list[int] = []
    for link in ledger.links():
        document: dict[str, Any] = json.loads(link.document or "{}")
        if document.get("event") == "removed":
            numbers += [number for first, last in document["numbers"] for number in range(first, last + 1)]
    return numbers


@sqlite_stands_for_both
def test_killed_removal_is_finished_by_two_concurrent_removals(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    due = 1500
    monkeypatch.setenv(RECORDS_AT_ONCE, "50")
    fill(url, due, 100)
    with closing(open_ledger(url)) as ledger:
        with running_program([sys.executable, "-m", "tests.support.ledger_writer", "remove", url, str(NOW)]) as process:
            while run(ledger.records("due 0")) and process.poll() is None:
                time.sleep(0.005)
            process.kill()
        half = verify(ledger.links())
        assert half.wrong is None
        assert half.removed > 0
        *removed, appended = run_writers(["remove", url, NOW], ["remove", url, NOW], ["append", url, "new", 100, "key"])
        counts = [int(count) for count in removed]
        assert half.removed + sum(counts) == due
        assert verify(ledger.links(), [half.root]).wrong is None
        assert sorted(removals(ledger)) == list(range(1, due + 1)), "each removed once"
        assert [record["record_id"] for record in run(ledger.records("shared"))] == appended.split()
        assert [len(run(ledger.records(name))) for name in ("new", "stays 0", "due 0")] == [100, 1, 0]
        assert ledger.last_removal() == NOW
        assert sorted(summaries(ledger)) == sorted(counts), "each completed run leaves a summary"


def summaries(ledger: Ledger) -> list[int]:
    database = ledger._database  # type: ignore[attr-defined]
    with database.reading() as connection:
        return [*connection.exec_driver_sql("SELECT records FROM consent_removals").scalars()]
