"""The cookie that has the next page show the content of a card once. It takes a form there; a script needs none."""

from __future__ import annotations

from datetime import timedelta
from hashlib import blake2b

from cookie_consent.base.cookies.fields import expire_cookie, set_cookie, values
from cookie_consent.decision.signing import Signer
from cookie_consent.policy.parts import NECESSARY, Cookie, Texts

ONCE_LIFETIME = timedelta(minutes=1)
"""The page after "Show once" comes at once. Where it does not come, the cookie is soon worth nothing."""
SALT = "cookie_consent.once"
_DIGEST_BYTES = 8


class OnceCookie:
    """Reads and sets the cookie. It names the card and the page, and nothing of the visitor.

    It is signed, so that only our own form sets it, and counts on that page alone for a minute.

    Args:
        name: its name over http. Over https, it has a prefix.
        signer: signs it.
    """

    def __init__(self, name: str, signer: Signer) -> None:
        self._names, self._signer = {True: f"__Host-{name}", False: name}, signer

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, over https and http."""
        return tuple(self._names.values())

    def is_in(self, cookies: bytes) -> bool:
        """Return whether a Cookie field has it."""
        return any(values(cookies, name.encode()) for name in self.names)

    def read(self, cookies: bytes, path: str, now: float, *, secure: bool) -> str:
        """Return the id of the card whose content a page is to show once; "" for none.

        Args:
            cookies: the Cookie field.
            path: the path of the page, as clients see it.
            now: seconds since 1970.
            secure: whether the connection is https.
        """
        page = b"." + _digest(path)
        for token in values(cookies, self._names[secure].encode()):
            read = self._signer.read(token)
            if read is not None and read[0].endswith(page) and 0 <= now - read[1] < ONCE_LIFETIME.total_seconds():
                return read[0].removesuffix(page).decode()
        return ""

    def set(self, card: str, path: str, now: float, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that has a page show the content of a card once.

        Args:
            card: the id of the card.
            path: the path of the page, as clients see it.
            now: seconds since 1970.
            secure: whether the connection is https.
        """
        token = self._signer.sign(card.encode() + b"." + _digest(path), int(now))
        return set_cookie(self._names[secure], token.decode(), int(ONCE_LIFETIME.total_seconds()), secure=secure)

    def forget(self, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes it, on the page that shows the content."""
        return expire_cookie(self._names[secure].encode(), secure=secure)

    def declared(self, description: Texts, *, secure: bool) -> Cookie:
        """Return the cookie as a policy would declare it."""
        return Cookie(name=self._names[secure], purpose=NECESSARY, duration=ONCE_LIFETIME, description=description)


def _digest(path: str) -> bytes:
    return blake2b(path.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest().encode()
