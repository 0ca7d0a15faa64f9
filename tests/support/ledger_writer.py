"""Consent records for ledgers, and a process that appends some when a line comes on standard input.

python -m tests.support.ledger_writer open URL
python -m tests.support.ledger_writer append URL CONSENT_ID COUNT [KEY]     with KEY, also repeated records
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers import Entry, Ledger, open_ledger
from cookie_consent.ledgers.chain import Root, Verified, verify
from cookie_consent.policy.policy import canonical_json
from tests.support.policies import NOW

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.support.ledger_writer"]
POLICY = {"site": {"name": "Example Registry"}, "purposes": [{"id": "analytics"}]}
SHOWN_TEXT, PREVAILING_TEXT = "<p>May we count visits?</p>", "<p>訪問を数えてもよいですか。</p>"


def new_id() -> str:
    """Return a random id, as records have."""
    return secrets.token_urlsafe(16)


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def policy_version(policy: Mapping[str, Any]) -> str:
    """Return the version of a policy."""
    return hashlib.sha256(canonical_json(policy)).hexdigest()[:16]


def entry(
    consent_id: str = "a",
    *,
    policy: Mapping[str, Any] = POLICY,
    text: str = SHOWN_TEXT,
    prevailing: str = PREVAILING_TEXT,
    now: float = NOW,
    key: str = "",
    within: int = 0,
    keep_until: int | None = None,
    **said: Any,
) -> Entry:
    """Return a consent record with its policies and texts, ready to append."""
    return Entry(
        document={
            "schema": 2,
            "record_id": new_id(),
            "consent_id": consent_id,
            "event": "granted",
            "decided_at": rfc3339(now),
            "source": "banner",
            "granted": ["analytics"],
            "language": "en",
            "text": digest(text),
            "prevailing_text": digest(prevailing),
            "policy": policy_version(policy),
            "policy_sha256": hashlib.sha256(canonical_json(policy)).hexdigest(),
            "service": None,
            "keep_until": None if keep_until is None else rfc3339(keep_until),
            "repeat_key": key,
            **said,
        },
        policies={policy_version(policy): policy},
        texts={digest(text): text, digest(prevailing): prevailing},
        repeat_within=within,
    )


def append(ledger: Ledger, *entries: Entry) -> list[Any]:
    """Append records all at once; return for each the stored record, or the error."""

    async def append_all() -> list[Any]:
        return [*await asyncio.gather(*map(ledger.append, entries), return_exceptions=True)]

    return asyncio.run(append_all())


def verify_intact(ledger: Ledger, *roots: Root) -> Verified:
    """Return what the chain of a ledger proves; it must be intact."""
    found = verify(ledger.links(), roots)
    assert found.wrong is None, found
    return found


def run_writers(*each: Sequence[object]) -> list[str]:
    """Run several of these processes, started at the same moment; return their output."""
    running = [
        subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in each
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running)
    return said


def main(what: str, url: str, *arguments: str) -> None:
    """Run the command, and write its result."""
    if what != "open":
        ledger = open_ledger(url)
    write_line("ready")
    sys.stdin.readline()
    if what == "open":
        ledger = open_ledger(url)
    else:
        consent_id, count, key = (*arguments, "")[:3]

        async def append() -> None:
            for number in range(int(count)):
                write_line((await ledger.append(entry(consent_id)))["record_id"])
                if key:
                    write_line((await ledger.append(entry("shared", key=f"{key}{number}", within=60)))["record_id"])

        asyncio.run(append())
    ledger.close()


def write_line(what: object) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
