"""Signs the tokens of our own cookies, and writes and reads what they say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from hmac import compare_digest
from string import ascii_letters
from typing import NamedTuple

from itsdangerous import BadData
from itsdangerous import Signer as HmacSigner
from itsdangerous.encoding import base64_decode, base64_encode, int_to_bytes

from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import SOURCES, Answer, ConsentRecord, State

SHORTEST_KEY = 32
LONGEST_TOKEN = 4096
_LATEST = 253402300799
"""The last second of the year 9999, the latest that `datetime` can represent."""
OPEN = "open"
"""The value of the state cookie while something is left to ask: the server says what."""
VERSION_LENGTH = 8
"""How many digits of the policy's version the state cookie has."""
_SIGNALS = {"g": "gpc", "d": "dnt"}
_STATES = {str(state): state for state in State}
_ANSWER = re.compile(r"([a-z][a-z0-9_-]{0,26})([+!-])([A-Za-z0-9_-]{5})(?:\*|\Z)")
_RECORD = re.compile(rf"1~([^~]*)~([^~]*)~([0-4])~([^~]*)~([^~]*)~((?:{_ANSWER.pattern})*)(?<!\*)")
"""The version of the format, then what `parse_record` reads."""
_WITHDRAWN = re.compile(r"[^~]+~[0-9]{1,12}(?:~[^~]+~[0-9]{1,12})*")


class Signer:
    """Signs tokens with the last key and accepts tokens of any key, as itsdangerous' `TimestampSigner` does.

    A token counts only byte for byte as issued. itsdangerous accepts more, since its base64 decoder skips bytes.

    Args:
        secret_keys: oldest first; the last one signs. Each has at least 32 characters.
        salt: what the tokens are for; a token of one salt is invalid under another.

    Raises:
        ValueError: there is no key, or one is shorter than 32 characters.
    """

    def __init__(self, secret_keys: str | Sequence[str], salt: str) -> None:
        keys = [secret_keys] if isinstance(secret_keys, str) else secret_keys
        is_list = isinstance(keys, list | tuple) and bool(keys)
        if not is_list or not all(
            isinstance(key, str) and len(key) >= SHORTEST_KEY and not key.isspace() for key in keys
        ):
            raise ValueError(
                f"secret_keys: each key is a text of at least {SHORTEST_KEY} characters, and one is needed. "
                'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        # The newest key comes first: it signs, and it has signed most tokens.
        self._signers = [_make_signer(key, salt) for key in reversed(keys)]

    def sign(self, value: bytes, now: int) -> bytes:
        """Return the token for a value, issued at `now` (seconds since 1970)."""
        return self._signers[0].sign(value + b"." + base64_encode(int_to_bytes(now)))

    def read(self, token: bytes) -> tuple[bytes, int] | None:
        """Return a token's value and its time of issue (seconds since 1970), or None if it is not exactly as issued."""
        if len(token) > LONGEST_TOKEN:
            return None
        signed, _, signature = token.rpartition(b".")
        for signer in self._signers:
            if compare_digest(signer.get_signature(signed), signature):
                return _split_time(signed)
        return None


def _make_signer(key: str, salt: str) -> HmacSigner:
    """Return a signer that has derived its key already, since forged tokens have to cost little."""
    signer = HmacSigner(key, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
    return HmacSigner(signer.derive_key(), key_derivation="none", digest_method=hashlib.sha256)


def _split_time(signed: bytes) -> tuple[bytes, int] | None:
    """Return the value and the time of issue in what was signed; None if something else was signed with our key."""
    value, _, time = signed.rpartition(b".")
    try:
        issued = int.from_bytes(base64_decode(time), "big")
    except BadData:
        return None
    if issued > _LATEST or base64_encode(int_to_bytes(issued)) != time:
        return None
    return value, issued


class KnownVisitor(NamedTuple):
    """The content of a visitor cookie: a random pseudonym, made only after consent to tracing.

    After the form that allows tracing the browser loads its page again, with the page itself as referrer. The cookie
    keeps the original referrer until that page view is recorded.

    Args:
        id: the visitor id.
        issued: when it was made (seconds since 1970).
        valid_until: when it expires.
        referrer: what is still to be recorded of how the visitor came: the origin of the referring site, or the
            campaign of an earlier page as "?utm_source=…", or ""; None for nothing.
    """

    id: str
    issued: int
    valid_until: float
    referrer: str | None = None


class WithdrawnVisitor(NamedTuple):
    """A visitor id whose consent was withdrawn.

    Args:
        visitor_id: the id.
        until: when the retention of its last access record ends (seconds since 1970).
    """

    visitor_id: str
    until: int


def write_record(record: ConsentRecord) -> str:
    """Return what the consent cookie says, in cookie octets (RFC 6265bis section 4.1.1)."""
    answers = "*".join([f"{id_}{answer.state}{answer.facts}" for id_, answer in record.answers.items()])
    source = str(SOURCES.index(record.source))
    signals = write_signals(record.signals)
    return "~".join(("1", record.policy, record.language, source, signals, record.consent_id, answers))


def parse_record(value: bytes, issued: int, lifetime: float) -> ConsentRecord | None:
    """Read what a signed consent cookie says; return None if it has another shape.

    Args:
        value: the text of `write_record`.
        issued: when it was signed (seconds since 1970).
        lifetime: how long an answer is valid (seconds).
    """
    match = _RECORD.fullmatch(value.decode("latin-1"))
    if match is None:
        return None
    policy, language, source, signals, consent_id, answers = match.groups()[:6]
    return ConsentRecord(
        answers={id_: Answer(_STATES[state], facts) for id_, state, facts in _ANSWER.findall(answers)},
        policy=policy,
        decided_at=issued,
        source=SOURCES[int(source)],
        language=language,
        signals=parse_signals(signals),
        consent_id=consent_id,
        lifetime=lifetime,
    )


def write_signals(signals: Iterable[str]) -> str:
    """Return a letter for each signal that is known."""
    return "".join(letter for letter, name in _SIGNALS.items() if name in signals)


def parse_signals(letters: str) -> frozenset[str]:
    """Return the names of the signals that letters stand for."""
    return frozenset(_SIGNALS[letter] for letter in letters if letter in _SIGNALS)


def write_visitor(visitor_id: str, referrer: str | None = None) -> str:
    """Return what the visitor cookie says: the id, and the referrer if it is still to be recorded."""
    # No id contains "~", because it also separates the consent cookie's fields.
    return visitor_id if referrer is None else f"{visitor_id}~{referrer}"


def parse_visitor(value: bytes, issued: int, lifetime: float) -> KnownVisitor:
    """Read what a signed visitor cookie says."""
    visitor_id, has_arrival, referrer = value.decode("latin-1").partition("~")
    return KnownVisitor(visitor_id, issued, issued + lifetime, referrer if has_arrival else None)


def write_withdrawn(visitors: Iterable[WithdrawnVisitor]) -> str:
    """Return what the erasure cookie says: each visitor id, and until when it has access records."""
    return "~".join(f"{visitor.visitor_id}~{visitor.until}" for visitor in visitors)


def parse_withdrawn(value: bytes, now: float) -> tuple[WithdrawnVisitor, ...]:
    """Read the ids that may still have records, in the order of their withdrawals."""
    text = value.decode("latin-1")
    if not _WITHDRAWN.fullmatch(text):  # another version of the package may have written it
        return ()
    fields = text.split("~")
    visitors = zip(fields[::2], map(int, fields[1::2]), strict=True)
    return tuple(WithdrawnVisitor(visitor_id, until) for visitor_id, until in visitors if until > now)


def write_state(decision: Decision) -> str:
    """Return what the state cookie says of a decision; "" while nothing was answered.

    `1a2b3c4d.ac.g` says that the first and the third optional purpose are allowed, in sight of Global Privacy Control,
    under the policy whose version begins like this.
    """
    if decision.record is None:
        return ""
    if decision.should_ask:
        return OPEN
    policy = decision.policy
    allowed = [letter for letter, id_ in zip(ascii_letters, policy.optional, strict=False) if decision.purposes[id_]]
    signals = "".join(signal[0] for signal in decision.signals)
    return f"{policy.version[:VERSION_LENGTH]}.{''.join(allowed)}.{signals}"
