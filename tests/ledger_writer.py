"""Another process that keeps consent records: python -m tests.ledger_writer PATH CONSENT_ID COUNT."""

from __future__ import annotations

import asyncio
import sys

from cookie_consent.ledgers import SqliteLedger
from tests.asgi import policy
from tests.policies import granted


async def write(path: str, consent_id: str, count: int) -> None:
    ledger = SqliteLedger(path)
    for _ in range(count):
        await ledger.append(granted(policy(), consent_id=consent_id), policy())


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
