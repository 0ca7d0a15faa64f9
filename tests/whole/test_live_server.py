"""Tests with uvicorn over real HTTP: with several workers, and with and without lifespan events."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from cookie_consent.ledgers import open_ledger
from cookie_consent.ledgers.chain import verify
from tests.support.asgi import PREFIX
from tests.support.servers import live_server
from tests.support.servers.live_server import Server
from tests.support.servers.processes import kill_process_group
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server


@contextmanager
def serving(folder: Path, *arguments: str, workers: int = 1) -> Iterator[Server]:
    """Serve the site, stop the server in an orderly way, and look into its output."""
    with live_server.serving(folder, *arguments, workers=workers) as server:
        yield server
        if server.process.poll() is None:
            server.stop()
    assert "Traceback" not in server.output.read_text("utf-8")


def visit_until_each_worker_came(granting: httpx.Client, refusing: httpx.Client, silent: httpx.Client) -> set[str]:
    """Let three visitors request pages until both workers have served the first one; return the paths of that one."""
    workers: set[str] = set()
    paths: set[str] = set()

    def visit(number: int) -> None:
        path = f"/pages/{number}"
        process, status = granting.get(f"{path}?utm_source=x&secret=y&busy").text.split()
        workers.add(process)
        paths.add(path)
        assert status == "granted"
        assert refusing.get(f"/pages/refused-{number}").text.split()[1] == "refused"
        assert silent.get(f"/pages/silent-{number}").text.split()[1] == "unknown"

    with ThreadPoolExecutor(8) as threads:
        for start in range(0, 2000, 40):
            list(threads.map(visit, range(start, start + 40)))
            if len(workers) == 2:
                return paths
    raise AssertionError("one worker served all requests")


def test_two_workers_share_answers_and_records(tmp_path: Path) -> None:
    new_connections = httpx.Limits(max_keepalive_connections=0)  # otherwise a visitor stays with one worker
    with (
        serving(tmp_path, workers=2) as server,
        server.visitor(limits=new_connections) as granting,
        server.visitor(limits=new_connections) as refusing,
        server.visitor(limits=new_connections) as silent,
    ):
        for choice in ("accept_all", "refuse_all", "accept_all"):
            assert granting.post(PREFIX, json={"choice": choice}).status_code == 200
        export = granting.get(f"{PREFIX}/export").json()
        assert [record["status"] for record in export["consent_records"]] == ["granted", "refused", "granted"]
        refused = refusing.post(PREFIX, json={"choice": "refuse_all"}, headers={"cookie": "_ga=1"})
        expired = [line.partition("=")[0] for line in refused.headers.get_list("set-cookie")][1:]
        assert set(expired) == {"player", "_ga"}
        paths = visit_until_each_worker_came(granting, refusing, silent)
        assert set(granting.cookies) == {"consent", "visitor", "visitor-erasure", "session", "_ga"}
        assert set(refusing.cookies) == {"consent", "session"}
        assert set(silent.cookies) == {"session"}
        server.stop()
        records = server.records()
    assert sorted(record["url.path"] for record in records) == sorted(paths)
    assert len({record["visitor.id"] for record in records}) == 1
    assert {(record["http.route"], record["url.query"]) for record in records} == {("/pages/{name}", "utm_source=x")}
    assert {(record["client.address"], record["user_agent.device"]) for record in records} == {("127.0.0.0", "mobile")}
    assert min(record["duration_ms"] for record in records) > 0


@pytest.mark.parametrize("lifespan", ["off", "on"])
def test_records_reach_the_file_while_the_server_runs_and_when_it_stops(lifespan: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--lifespan", lifespan) as server, server.visitor() as visitor:
        visitor.post(PREFIX, json={"choice": "accept_all"})
        visited: list[str] = []
        for path in ("/pages/first", "/pages/second"):
            visited.append(visitor.get(path).request.url.path)
            wait_until(lambda: [record["url.path"] for record in server.records()] == visited, 3)
        if lifespan == "on":
            visited.append(visitor.get("/pages/last").request.url.path)
        server.stop()
        assert [record["url.path"] for record in server.records()] == visited


@pytest.mark.requirement("ST-09")
def test_what_a_request_open_during_refusal_sets_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as server,
        server.visitor() as visitor,
        server.visitor() as other,
        ThreadPoolExecutor(1) as thread,
    ):
        visitor.post(PREFIX, json={"choice": "accept_all"})
        given = {"cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
        with other.stream("GET", "/events", headers=given) as stream:
            chunks = stream.iter_raw()
            assert next(chunks) == b"data: first\n\n"
            slow = thread.submit(other.get, "/slow", headers={"cookie": given["cookie"].partition("; visitor")[0]})
            wait_until(lambda: visitor.get("/waiting").text == "1", 20)
            assert visitor.post(PREFIX, json={"choice": "refuse_all"}).json()["status"] == "refused"
            visitor.get("/go-on")
            assert b"".join(chunks) == b"data: second\n\n"
        slow.result(20)
        visitor.cookies.set("_ga", "1")
        set_cookies = visitor.get("/pages/next").headers.get_list("set-cookie")
        assert {line.partition("=")[0] for line in set_cookies if "max-age=0" in line.lower()} == {"_ga"}
        server.stop()
        # The slow request had no visitor id yet, so nothing joins its record with the visitor who refused.
        assert {record["url.path"] for record in server.records()} == {"/waiting", "/slow"}


def test_confirmed_answers_survive_the_kill_of_all_workers(tmp_path: Path) -> None:
    confirmed: Counter[str] = Counter()

    def answer(server: Server) -> None:
        with server.visitor() as visitor:
            visitor.post(PREFIX, json={"choice": "accept_all"}).raise_for_status()
            (first,) = visitor.get(f"{PREFIX}/export").json()["consent_records"]
            with suppress(httpx.TransportError):
                for choice in ["refuse_all", "accept_all"] * 25:
                    visitor.post(PREFIX, json={"choice": choice}).raise_for_status()
                    confirmed[first["consent_id"]] += 1

    for kill in range(1, 4):
        with live_server.serving(tmp_path, workers=2) as server, ThreadPoolExecutor(6) as visitors:
            answers = [visitors.submit(answer, server) for _ in range(6)]
            wait_until(partial(all_answer, confirmed, 6 * kill))
            kill_process_group(server.process)
            for each in answers:
                each.result()
    with closing(open_ledger(f"sqlite:///{tmp_path}/consent.db")) as ledger:
        kept = Counter(json.loads(link.document)["consent_id"] for link in ledger.links() if link.document)
        assert confirmed <= kept
        assert verify(ledger.links()).wrong is None


def all_answer(confirmed: Counter[str], visitors: int) -> bool:
    return len(confirmed) == visitors and min(confirmed.values()) >= 3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share, because none of them stops it or looks at its files."""
    with serving(tmp_path_factory.mktemp("site")) as server:
        yield server


def test_event_stream_arrives_event_by_event(running: Server) -> None:
    with (
        running.visitor() as visitor,
        visitor.stream("GET", "/events", headers={"accept": "text/html"}) as response,
    ):
        chunks = response.iter_raw()
        assert next(chunks) == b"data: first\n\n"
        assert visitor.get("/go-on").text == "they go on"
        assert b"".join(chunks) == b"data: second\n\n"


def test_form_answer_redirects_back_and_ends_the_question(running: Server) -> None:
    with running.visitor() as visitor:
        page = visitor.get("/", headers={"accept": "text/html"})
        assert 'value="refuse_all"' in page.text
        assert int(page.headers["content-length"]) == len(page.content)
        reply = visitor.post(PREFIX, data={"choice": "refuse_all", "next": "/pages/x"})
        assert (reply.status_code, reply.headers["location"]) == (303, "/pages/x")
        assert 'value="refuse_all"' not in visitor.get("/", headers={"accept": "text/html"}).text


def test_malformed_requests_cause_no_traceback(running: Server) -> None:
    """The end of the fixture finds none."""
    with running.visitor() as visitor:
        host, port = running.address.removeprefix("http://").split(":")
        start = (
            f"POST {PREFIX} HTTP/1.1\r\nhost: x\r\nsec-fetch-site: same-origin\r\ncontent-type: application/json\r\n"
        )
        for request in (
            start + "content-length: 100\r\n\r\n{",  # an incomplete body
            start + 'content-length: 24\r\n\r\n{"choice": "accept_all"}',
            start + "transfer-encoding: chunked\r\n\r\n5\r\n{\r\n",
            f"GET {PREFIX}?next=%ff%00//x HTTP/1.1\r\nhost: \r\ncookie: consent=\xff\xfe; \x80=\r\n\r\n",
            "GET /%00%ff%0d%0a HTTP/1.0\r\naccept: text/html\r\n\r\n",
        ):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(request.encode("latin-1"))
        big = visitor.post(PREFIX, content=b" " * 1_000_000, headers={"content-type": "application/json"})
        assert big.status_code == 413
        assert visitor.get("/pages/x").status_code == 200
