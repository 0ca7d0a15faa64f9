"""Runs commands, and the files that their tests work on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.main import main
from cookie_consent.ledgers import Entry, open_ledger
from cookie_consent.policy.policy import canonical_json
from tests.support.asgi import policy
from tests.support.ledger_files import ledger_url
from tests.support.policies import NOW

POLICY = policy()
DOCUMENT = POLICY.document()
POLICY_HASH = hashlib.sha256(canonical_json(DOCUMENT)).hexdigest()
ANN, BEN = "consent-id-of-ann", "consent-id-of-ben"
VISITOR = "visitor-id-of-ann"
TEXT, PREVAILING = "<p>May we count visits?</p>", "<p>訪問を数えてもよいですか。</p>"


class Ran(NamedTuple):
    """A command that ran: its exit status, and what it printed on standard output and standard error."""

    status: int | str | None
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        try:
            status: int | str | None = main([*map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CONSENT_LEDGER", "CONSENT_ACCESS_LOG", "CONSENT_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A ledger with two records of Ann, of which the first is due for removal, and one of Ben."""
    url = ledger_url(tmp_path)
    fill(url, record(ANN, "1", keep_until=rfc3339(1)), record(BEN, "2"), record(ANN, "3", event="withdrawn"))
    return url


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    """An access log with two records of Ann, and one of another visitor."""
    path = tmp_path / "access.jsonl"
    lines = [json.dumps({"time": "t", "url.path": "/訪問", "visitor.id": id_}) for id_ in (VISITOR, "other", VISITOR)]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def record(consent_id: str, record_id: str, **changes: Any) -> Entry:
    """Return a consent record of the site, ready to append."""
    document = {
        "schema": 2,
        "record_id": record_id,
        "consent_id": consent_id,
        "event": "granted",
        "decided_at": rfc3339(NOW),
        "expires_at": rfc3339(NOW + 1000),
        "source": "banner",
        "status": "granted",
        "granted": ["analytics"],
        "refused": ["media"],
        "language": "en",
        "text": digest(TEXT),
        "prevailing_language": "ja",
        "prevailing_text": digest(PREVAILING),
        "policy": POLICY.version,
        "policy_sha256": POLICY_HASH,
        "answered_before": None,
        "keep_until": None,
        **changes,
    }
    texts = {digest(text): text for text in (TEXT, PREVAILING)} if document["text"] else {}
    return Entry(document=document, policies={POLICY.version: DOCUMENT}, texts=texts)


def fill(url: str, *entries: Entry) -> None:
    """Append records to a ledger, one after the other."""

    async def append() -> None:
        with closing(open_ledger(url)) as ledger:
            for each in entries:
                await ledger.append(each)

    asyncio.run(append())


@contextmanager
def tampered(url: str) -> Iterator[sqlite3.Connection]:
    """Open the ledger's file without its triggers, as an attacker can."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()
