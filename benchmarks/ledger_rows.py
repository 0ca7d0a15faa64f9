"""Rows of a ledger, made many thousands a second: an answer as the middleware keeps it, told again and again.

The documents are whole, the chain is right; ids and times differ, and the visitor's record before is named.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from benchmarks import apps
from benchmarks.ledger_answers import AGAIN, FIRST, Visitor
from benchmarks.ledger_stores import Row
from cookie_consent import ConsentMiddleware
from cookie_consent.chain import START, chain_hash, record_hash
from cookie_consent.ledgers import Entry, MemoryLedger
from cookie_consent.policy import canonical_json
from cookie_consent.timestamps import rfc3339

BEGIN = 1_700_000_000
_LIFETIME, _KEPT = 180 * 86_400, 5 * 365 * 86_400
_SAME_TIME = 1000
_CONSENT, _RECORD, _PREVIOUS, _KEY = "<consent>", "<record>", "<previous>", "<key>"
_MARKS = re.compile(f'{_CONSENT}|{_RECORD}|"{_PREVIOUS}"|{_KEY}')


class _Seen(MemoryLedger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    async def append(self, entry: Entry) -> dict[str, Any]:
        self.entries.append(entry)
        return await super().append(entry)


def an_entry() -> Entry:
    """Gives what a ledger is given when a visitor changes the answer in the banner."""
    ledger = _Seen()
    app = ConsentMiddleware(apps.bare_app(), apps.POLICY, apps.KEY, prefix=apps.PREFIX, ledger=ledger)

    async def twice() -> None:
        visitor = Visitor(app)
        await visitor.answer(FIRST)
        await visitor.answer(AGAIN)

    asyncio.run(twice())
    return ledger.entries[-1]


def consent_id(visitor: int) -> str:
    """Gives the consent id of a visitor."""
    return _id(b"consent %d" % visitor)


def rows(like: Entry, count: int, visitors: int) -> Iterator[Row]:
    """Makes the rows that follow on a ledger's first. Visitors answer in turns: the records of each lie far apart.

    Args:
        like: the first record; the others are like it.
        count: how many rows the ledger has in the end.
        visitors: how many visitors they are of.
    """
    said, tied = like.document, chain_hash(START, record_hash(like.text))
    cited = (said["policy"], said["text"], said["prevailing_text"])
    for begin in range(1, count, _SAME_TIME):
        time = BEGIN + begin
        until = time + _LIFETIME
        same = {**said, "consent_id": _CONSENT, "record_id": _RECORD, "previous": _PREVIOUS, "repeat_key": _KEY}
        times = {"decided_at": time, "expires_at": until, "keep_until": until + _KEPT}
        text = canonical_json({**same, **{name: rfc3339(seconds) for name, seconds in times.items()}}).decode()
        first, second, third, fourth, last = _MARKS.split(text)
        for place in range(begin, min(begin + _SAME_TIME, count)):
            consent, record = consent_id(place % visitors), _id(b"record %d" % place)
            previous = f'"{_id(b"record %d" % (place - visitors))}"' if place > visitors else "null"
            key = hashlib.sha256(record.encode()).hexdigest()
            document = f"{first}{consent}{second}{previous}{third}{record}{fourth}{key}{last}"
            own = record_hash(document)
            tied = chain_hash(tied, own)
            yield (place + 1, document, record, consent, *cited, time, until + _KEPT, key, own, tied)


def _id(name: bytes) -> str:
    return urlsafe_b64encode(hashlib.blake2b(name, digest_size=16).digest())[:22].decode()
