"""What is kept when something fails, with real processes: every answer that got a 200 is there, and the chain fits."""

from __future__ import annotations

import asyncio
import json
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

from cookie_consent.cli.demo.site import Site, started
from cookie_consent.decision.own_cookies import CookieSettings, OwnCookies
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.chain import Verified, verify
from tests.support.asgi import PREFIX, run
from tests.support.ledger_writer import NOW, ROOT, entry, together
from tests.support.policies import KEY
from tests.support.servers.postgres import PrivateServer
from tests.support.servers.processes import running

pytestmark = pytest.mark.server

ANSWERS = 1000
VISITORS = 12
LONGEST = 60
OWN = OwnCookies(CookieSettings([KEY]))


@contextmanager
def site(url: str, tmp_path: Path) -> Iterator[Site]:
    """Serve a site that keeps its records there."""
    log = tmp_path / f"site-{time.monotonic_ns()}.log"
    with started("tests.support.sites.ledger_site:app", ROOT, log, ("127.0.0.1", 0), {"LEDGER": url}) as site:
        yield site


@dataclass
class Answers:
    """What visitors answered, and what became of it.

    Args:
        address: the site.
    """

    address: str
    kept: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0
    refused: int = 0
    lost: bool = False
    _awaited: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the answers."""
        event = asyncio.Event()
        self._awaited.append((holds, event))
        async with asyncio.timeout(LONGEST):
            await event.wait()

    async def give(self, count: int) -> None:
        """Have visitors answer until so many more answers are kept, or the site is gone."""
        most = self.count + count
        await self.give_until(lambda: self.count >= most)

    async def give_until(self, enough: Callable[[], bool]) -> None:
        """Have visitors answer until it is enough, or the site is gone."""
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(self._visitor(enough) for _ in range(VISITORS)))

    async def _visitor(self, enough: Callable[[], bool]) -> None:
        """Answer some times, then as another visitor."""
        with suppress(httpx.TransportError):
            async with self.client() as client:
                while not enough():
                    client.cookies.clear()
                    for choice in ("accept_all", "refuse_all", "accept_all"):
                        if not await self._answer(client, choice):
                            break
            return
        self.lost = True

    async def _answer(self, client: httpx.AsyncClient, choice: str) -> bool:
        """Answer, and return whether the answer was taken."""
        reply = await client.post(PREFIX, json={"choice": choice, "source": "banner", "surface": "banner"})
        if reply.status_code == httpx.codes.OK:
            (record,) = OWN.records(f"consent={client.cookies['consent']}".encode(), secure=False)
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
        """Look at a page: it is there, whatever happened to the ledger."""
        async with self.client() as client:
            for path in ("/", PREFIX, f"{PREFIX}/state"):
                reply = await client.get(path)
                assert reply.status_code == httpx.codes.OK, reply.text


def fits(ledger: Ledger, given: Answers) -> Verified:
    """Check that each answer that was told to be kept is, in its order, and that the chain fits."""
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
    assert len({document["record_id"] for document in documents}) == len(documents), "none is kept twice"
    return found


async def well_again(given: Answers) -> None:
    """Check that no answer is refused any longer."""
    refused = given.refused
    await given.give(50)
    await given.pages()
    assert given.refused == refused


def checked(url: str, given: Answers, *, at_most: int | None = None) -> None:
    with closing(open_ledger(url)) as ledger:
        records = fits(ledger, given).records
    assert given.count <= records <= (given.count if at_most is None else at_most)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/consent.db"


def test_what_was_answered_before_the_app_was_killed_is_kept(url: str, tmp_path: Path) -> None:
    async def until_it_is_killed(site: Site) -> Answers:
        given = Answers(site.address)

        async def kill() -> None:
            await given.until(lambda: given.count >= ANSWERS // 2)
            site.process.kill()

        await asyncio.gather(kill(), given.give(ANSWERS))
        return given

    with site(url, tmp_path) as killed:
        given = run(until_it_is_killed(killed))
        assert killed.process.wait(LONGEST) == -signal.SIGKILL
    assert given.lost
    assert given.refused == 0
    # What each visitor was just being answered may be kept, though it was not heard of.
    checked(url, given, at_most=given.count + VISITORS)

    async def go_on(site: Site) -> None:
        given.address, given.lost = site.address, False
        await given.give(ANSWERS - given.count)

    with site(url, tmp_path) as again:
        run(go_on(again))
    checked(url, given, at_most=given.count + VISITORS)


@pytest.mark.parametrize(
    ("end", "answers"), [pytest.param("stop", ANSWERS // 4, marks=pytest.mark.full_matrix), ("kill", ANSWERS)]
)
def test_what_was_answered_while_postgresql_was_ended_and_started_is_kept(
    private_postgres: PrivateServer, tmp_path: Path, end: str, answers: int
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
        await well_again(given)
        return given

    with site(url, tmp_path) as one:
        given = run(give(one))
        assert one.process.poll() is None, "the app went on"
    assert given.refused > 0
    # Kept when the server was ended, but not heard of: told as refused, and answered anew.
    checked(url, given, at_most=given.count + VISITORS)


def test_postgresql_that_is_not_there_at_the_start_is_waited_for(
    private_postgres: PrivateServer, tmp_path: Path
) -> None:
    url = private_postgres.new_database()
    private_postgres.stop()

    async def answers(site: Site) -> Answers:
        given = Answers(site.address)
        await given.pages()
        await given.give_until(lambda: given.refused > VISITORS)
        await asyncio.to_thread(private_postgres.start)
        await well_again(given)
        return given

    with site(url, tmp_path) as one:
        given = run(answers(one))
    assert given.refused > 0
    checked(url, given)
    assert "cannot be used yet, and answers are refused until it can" in one.log.read_text("utf-8")


class Disk(Protocol):
    """A disk of which something else takes all the room, and gives it back."""

    folder: Path

    async def fill(self, client: httpx.AsyncClient) -> None: ...

    async def evict_if_full(self, client: httpx.AsyncClient) -> None: ...


class SmallDisk:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._other = folder / "other"

    async def fill(self, client: httpx.AsyncClient) -> None:
        with self._other.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))

    async def evict_if_full(self, client: httpx.AsyncClient) -> None:
        self._other.unlink()


class LimitedProcess:
    """A process that may not make its files any larger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def fill(self, client: httpx.AsyncClient) -> None:
        largest = max(file.stat().st_size for file in self.folder.iterdir())
        assert (await client.get("/limit", params={"bytes": largest + 100_000})).status_code == httpx.codes.OK

    async def evict_if_full(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/limit")).status_code == httpx.codes.OK


@pytest.fixture(params=[pytest.param("small disk", marks=pytest.mark.full_matrix), "limited process"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limited process":
        yield LimitedProcess(folder)
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("Only root may mount a small disk; the limited process shows the same.")
    yield SmallDisk(folder)
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_refuses_answers_until_there_is_room(disk: Disk, tmp_path: Path) -> None:
    url = f"sqlite:///{disk.folder}/consent.db"

    async def answers(site: Site) -> Answers:
        given = Answers(site.address)
        async with given.client() as client:
            await given.give(100)
            assert given.refused == 0
            await disk.fill(client)
            # Those that still find room in what the files have already are kept.
            await given.give_until(lambda: given.refused > 3 * VISITORS)
            await given.pages()
            await disk.evict_if_full(client)
        await well_again(given)
        return given

    with site(url, tmp_path) as one:
        given = run(answers(one))
        assert one.process.poll() is None
    assert given.refused > 0
    checked(url, given)


def fill(url: str, due: int, others: int) -> None:
    """Keep records that are due, and others in between."""

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
    """Return the numbers that the chain says were removed, each as often as it says so."""
    said: list[int] = []
    for link in ledger.links():
        document: dict[str, Any] = json.loads(link.document or "{}")
        if document.get("event") == "removed":
            said += [number for first, last in document["numbers"] for number in range(first, last + 1)]
    return said


def test_a_removal_that_was_killed_is_finished_by_two_hosts_at_once_while_a_third_appends(url: str) -> None:
    due = 11_000
    fill(url, due, 100)
    with closing(open_ledger(url)) as ledger:
        with running([sys.executable, "-m", "tests.support.ledger_writer", "remove", url, str(NOW)]) as process:
            while run(ledger.records("due 0")) and process.poll() is None:
                time.sleep(0.005)
            process.kill()
        half = verify(ledger.links())
        assert half.wrong is None
        assert half.removed > 0
        *removed, appended = together(["remove", url, NOW], ["remove", url, NOW], ["append", url, "new", 100, "key"])
        counts = [int(said) for said in removed]
        assert half.removed + sum(counts) == due
        assert verify(ledger.links(), [half.root]).wrong is None
        assert sorted(removals(ledger)) == list(range(1, due + 1)), "each once"
        assert [record["record_id"] for record in run(ledger.records("shared"))] == appended.split()
        assert [len(run(ledger.records(name))) for name in ("new", "stays 0", "due 0")] == [100, 1, 0]
        assert ledger.last_removal() == NOW
        assert sorted(summaries(ledger)) == sorted(counts), "each run that came to its end left one"


def summaries(ledger: Ledger) -> list[int]:
    database = ledger._database  # type: ignore[attr-defined]
    with database.reading() as connection:
        return [*connection.exec_driver_sql("SELECT records FROM consent_removals").scalars()]
