"""Reads and writes the tokens of the consent cookie and of the signal cookie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.decision.record import CONSENT_LIFETIME, SOURCES, Answer, ConsentRecord, SharedAnswers, State
from cookie_consent.decision.signing import Signer
from cookie_consent.policy.syntax import host_label

SALT = "cookie_consent.record"
SIGNAL_SALT = "cookie_consent.signal"
_FORMAT = "1"
_SIGNALS = {"g": "gpc", "d": "dnt"}
_NO_SIGNALS = frozenset[str]()
_SOURCES = {str(number): source for number, source in enumerate(SOURCES)}
_FIELDS = 7
_ANSWER = re.compile(r"([a-z][a-z0-9_-]{0,26})([+!-])([A-Za-z0-9_-]{5})")


class ConsentCookie:
    """Turns consent records into the signed tokens of the consent cookie, and back.

    A token's value is readable text: format, policy version, language, source, signals, consent id, and each purpose's
    answer with the digest of its material facts. If hosts share answers, the value also names those for
    which the answer was given, without the domain.

    Args:
        signer: a signer with `SALT`, and with the domain.
        domain: the domain in which hosts share answers; "" for the answers of one host.
        hosts: those hosts.
        lifetime: how long an answer is valid.
    """

    def __init__(
        self, signer: Signer, domain: str = "", hosts: Sequence[str] = (), *, lifetime: timedelta = CONSENT_LIFETIME
    ) -> None:
        self._signer = signer
        self._lifetime = lifetime.total_seconds()
        self._names = {host: host_label(host, domain) for host in hosts}
        self._hosts = ("*".join(sorted(self._names.values())),) if hosts else ()

    def write(self, record: ConsentRecord) -> str:
        """Return the token for a record, in cookie octets (RFC 6265bis section 4.1.1)."""
        answers = "*".join(f"{id_}{answer.state.value}{answer.facts}" for id_, answer in record.answers.items())
        signals = "".join(letter for letter, name in _SIGNALS.items() if name in record.signals)
        source = str(SOURCES.index(record.source))
        fields = (_FORMAT, record.policy, record.language, source, signals, record.consent_id, answers, *self._hosts)
        return self._signer.sign("~".join(fields).encode("ascii"), record.decided_at).decode("ascii")

    def read(self, tokens: Iterable[bytes], host: str = "") -> list[ConsentRecord]:
        """Return the records of the valid tokens; others are ignored.

        Args:
            tokens: the tokens.
            host: the host of the request if it shares answers. Tokens that do not name it are ignored.
        """
        name = self._names[host].encode() if host else None
        records = []
        for token in tokens:
            verified = self._signer.read(token)
            record = self._parse(*verified, name) if verified else None
            if record:
                records.append(record)
        return records

    def _parse(self, value: bytes, issued: int, host: bytes | None) -> ConsentRecord | None:
        """Read a value whose signature is valid; return None for another shape.

        Args:
            value: the value.
            issued: when it was signed.
            host: the name of the host that it has to be good for; None if it names none.
        """
        if host is not None:
            value, _, hosts = value.rpartition(b"~")
            if host not in hosts.split(b"*"):
                return None
        fields = value.decode("latin-1").split("~")
        if len(fields) != _FIELDS:
            return None
        form, policy, language, source, signals, consent_id, answers = fields
        if form != _FORMAT or source not in _SOURCES:
            return None
        # Only short answers are cached, so that the size of the cache is limited.
        parsed = _shared_answers(answers) if len(answers) <= LONGEST_KEPT else _parse_answers(answers)
        if parsed is None:
            return None
        return ConsentRecord(
            answers=parsed,
            policy=policy,
            decided_at=issued,
            source=_SOURCES[source],
            language=language,
            signals=_signal_names(signals) if signals else _NO_SIGNALS,
            consent_id=consent_id,
            lifetime=self._lifetime,
        )


class SignalCookie:
    """Turns the signals that override an answer into the signed tokens of the signal cookie, and back.

    It is a cookie of its own because a slow response that rewrote the consent cookie could undo a newer answer. A token
    names the second of the answer that it belongs to, has no effect on any other answer, and can only deny.

    Args:
        signer: a signer with `SIGNAL_SALT`.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, signals: frozenset[str], decided_at: int) -> str:
        """Return the token for the signals that overrode an answer.

        Args:
            signals: their names.
            decided_at: when that answer was given, in seconds since 1970.
        """
        letters = "".join(letter for letter, name in _SIGNALS.items() if name in signals)
        return self._signer.sign(letters.encode("ascii"), decided_at).decode("ascii")

    def read(self, tokens: Iterable[bytes], decided_at: int) -> frozenset[str]:
        """Return the names of the signals that overrode the answer given at `decided_at` (seconds since 1970)."""
        letters = [read[0] for token in tokens if (read := self._signer.read(token)) and read[1] == decided_at]
        return _signal_names(b"".join(letters).decode("latin-1"))


def _signal_names(letters: str) -> frozenset[str]:
    return frozenset([_SIGNALS[letter] for letter in letters if letter in _SIGNALS])


@lru_cache(maxsize=1024)
def _shared_answers(text: str) -> SharedAnswers | None:
    """Read answers through a cache, so that visitors who answered alike share one object."""
    answers = _parse_answers(text)
    return None if answers is None else SharedAnswers(answers)


def _parse_answers(text: str) -> Mapping[str, Answer] | None:
    matches = [_ANSWER.fullmatch(answer) for answer in text.split("*")] if text else []
    if not all(matches):
        return None
    return {match[1]: Answer(State(match[2]), match[3]) for match in filter(None, matches)}
