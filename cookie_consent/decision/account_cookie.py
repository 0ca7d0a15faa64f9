"""The cookie that remembers which account the answer on a device follows. It does not name the account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from cookie_consent.base.cookies.fields import expire_cookie, set_cookie, values
from cookie_consent.decision.cookie_settings import CookieSettings
from cookie_consent.decision.place import Place
from cookie_consent.decision.signing import Signer
from cookie_consent.policy.parts import NECESSARY, Cookie, Texts

SALT = "cookie_consent.account"
_PERSON = b"account"
_DIGEST_BYTES = 12
_VALUE = re.compile(r"([0-9]{1,12})~([0-9a-f]{24})~([01])")


class AccountMark(NamedTuple):
    """The content of the cookie.

    Args:
        decided_at: the time of the answer on the device that the mark is about, in seconds since 1970.
        digest: stands for the account. It is another one for each answer, so that it does not link devices.
        followed: the time of the account's answer that was applied.
        is_told: whether the visitor was told of it.
    """

    decided_at: int
    digest: str
    followed: int
    is_told: bool


class AccountCookie:
    """Reads and sets the cookie.

    Args:
        names: whether the connection is https, and whether hosts share the cookie -> its name.
        settings: the keys and the lifetime of an answer.
    """

    def __init__(self, names: Mapping[tuple[bool, bool], str], settings: CookieSettings) -> None:
        keys = settings.secret_keys
        self._names, self._lifetime = names, settings.consent_lifetime
        # A token of one domain is invalid in another.
        self._signers = {shared: Signer(keys, f"{SALT}@{settings.domain}" if shared else SALT) for _, shared in names}
        newest_first = [keys] if isinstance(keys, str) else [*reversed(keys)]
        self._keys = [blake2b(key.encode(), person=_PERSON).digest() for key in newest_first]

    def set(self, user: str, *, decided_at: int, followed: int, is_told: bool, place: Place) -> bytes:
        """Return the Set-Cookie field for the mark of an account; see `AccountMark`."""
        value = f"{decided_at}~{_digest(self._keys[0], user, decided_at)}~{is_told:d}"
        token = self._signers[place.is_shared].sign(value.encode("ascii"), followed).decode("ascii")
        max_age = int(self._lifetime.total_seconds())
        return set_cookie(self._name(place), token, max_age, domain=place.domain, secure=place.secure)

    def forget(self, cookies: bytes, *, place: Place) -> list[bytes]:
        """Return the Set-Cookie field that deletes the cookie, if a Cookie field has it."""
        name = self._name(place).encode("ascii")
        return [expire_cookie(name, domain=place.domain, secure=place.secure)] if values(cookies, name) else []

    def declared(self, description: Texts, *, place: Place) -> Cookie:
        """Return the cookie as a policy would declare it."""
        return Cookie(
            name=self._name(place),
            purpose=NECESSARY,
            duration=self._lifetime,
            domain=place.domain,
            description=description,
        )

    def _name(self, place: Place) -> str:
        return self._names[place.secure, place.is_shared]

    def read(self, cookies: bytes, *, place: Place) -> AccountMark | None:
        """Return the mark in a Cookie field, of the newest valid token; None if there is none."""
        tokens = values(cookies, self._name(place).encode("ascii"))
        signer = self._signers[place.is_shared]
        verified = [(issued, value) for value, issued in filter(None, map(signer.read, tokens))]
        if not verified:
            return None
        followed, value = max(verified)
        match = _VALUE.fullmatch(value.decode("latin-1"))
        return AccountMark(int(match[1]), match[2], followed, match[3] == "1") if match else None

    def is_of(self, mark: AccountMark, user: str) -> bool:
        """Return whether a mark is of an account."""
        return any(compare_digest(_digest(key, user, mark.decided_at), mark.digest) for key in self._keys)


def _digest(key: bytes, user: str, decided_at: int) -> str:
    text = f"{decided_at}~{user}".encode(errors="surrogatepass")
    return blake2b(text, key=key, digest_size=_DIGEST_BYTES).hexdigest()
