"""The consent record in its signed cookie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.decision.record import SOURCES, Answer, ConsentRecord, SharedAnswers, State
from cookie_consent.decision.signing import Signer

SALT = "cookie_consent.record"
SIGNAL_SALT = "cookie_consent.signal"
_FORMAT = "1"
_SIGNALS = {"g": "gpc", "d": "dnt"}
_NONE = frozenset[str]()
_SOURCES = {str(number): source for number, source in enumerate(SOURCES)}
_FIELDS = 7
_ANSWER = re.compile(r"([a-z][a-z0-9_-]{0,26})([+!-])([A-Za-z0-9_-]{5})")


class ConsentCookie:
    """Turns consent records into the tokens that the cookie holds, and back.

    A token's value is readable text: format, policy version, language, source, signals, consent id, and the answers
    with the digest of the facts that they were given for.

    Args:
        signer: signs with `SALT`.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, record: ConsentRecord) -> str:
        """Return the token for a record: cookie octets only (RFC 6265bis section 4.1.1)."""
        answers = "*".join(f"{id_}{answer.state.value}{answer.facts}" for id_, answer in record.answers.items())
        signals = "".join(letter for letter, name in _SIGNALS.items() if name in record.signals)
        source = str(SOURCES.index(record.source))
        fields = (_FORMAT, record.policy, record.language, source, signals, record.consent_id, answers)
        return self._signer.sign("~".join(fields).encode("ascii"), record.decided_at).decode("ascii")

    def read(self, tokens: Iterable[bytes]) -> list[ConsentRecord]:
        """Return the records of those tokens that are ours; anything else is no record."""
        records = []
        for token in tokens:
            found = self._signer.read(token)
            record = _parse(*found) if found else None
            if record:
                records.append(record)
        return records


class SignalCookie:
    """Turns the signals that rule over an answer into the tokens of a cookie of their own, and back.

    Not of the consent cookie: a response that began before a newer answer would put the older one back. A token says
    nothing but that signals ruled over the answer of one second, and denies; for any other answer it says nothing.

    Args:
        signer: signs with `SIGNAL_SALT`.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, signals: frozenset[str], decided_at: int) -> str:
        """Return the token that says which signals ruled over the answer of that time (seconds since 1970)."""
        letters = "".join(letter for letter, name in _SIGNALS.items() if name in signals)
        return self._signer.sign(letters.encode("ascii"), decided_at).decode("ascii")

    def read(self, tokens: Iterable[bytes], decided_at: int) -> frozenset[str]:
        """Return the names of the signals that ruled over the answer of that time."""
        found = [read[0] for token in tokens if (read := self._signer.read(token)) and read[1] == decided_at]
        return _named(b"".join(found).decode("latin-1"))


def _parse(value: bytes, issued: int) -> ConsentRecord | None:
    """Read a value that has the right signature; one of another shape (an older format, say) is no record."""
    fields = value.decode("latin-1").split("~")
    if len(fields) != _FIELDS or fields[0] != _FORMAT:
        return None
    _, policy, language, source, signals, consent_id, answers = fields
    read = _shared_answers(answers) if len(answers) <= LONGEST_KEPT else _answers(answers)
    if read is None or source not in _SOURCES:
        return None
    return ConsentRecord(
        answers=read,
        policy=policy,
        decided_at=issued,
        source=_SOURCES[source],
        language=language,
        signals=_named(signals) if signals else _NONE,
        consent_id=consent_id,
    )


def _named(letters: str) -> frozenset[str]:
    return frozenset([_SIGNALS[letter] for letter in letters if letter in _SIGNALS])


@lru_cache(maxsize=1024)
def _shared_answers(text: str) -> SharedAnswers | None:
    """Read answers that are short enough to be kept; visitors who answered alike share them."""
    answers = _answers(text)
    return None if answers is None else SharedAnswers(answers)


def _answers(text: str) -> Mapping[str, Answer] | None:
    matches = [_ANSWER.fullmatch(answer) for answer in text.split("*")] if text else []
    if not all(matches):
        return None
    return {match[1]: Answer(State(match[2]), match[3]) for match in filter(None, matches)}
