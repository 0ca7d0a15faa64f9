"""Signs and verifies the tokens of our own cookies, in the format of itsdangerous' `TimestampSigner`."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Sequence

from itsdangerous import TimestampSigner
from itsdangerous.encoding import base64_encode, int_to_bytes

SHORTEST_KEY = 32
_PUBLIC_KEYS = frozenset(("a text of at least 32 characters",))
"""Examples that the documentation once had: they are no secret."""
LONGEST_TOKEN = 4096
_BLOCK = hashlib.sha256().block_size
_FROM_URLS, _TO_URLS = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")
_LATEST = 253402300799
"""The last second of the year 9999, the latest that `datetime` can represent."""


class Signer:
    """Signs tokens with the last key and accepts tokens of any key.

    It writes the same tokens as `itsdangerous.TimestampSigner(keys, salt=…, key_derivation="hmac",
    digest_method=hashlib.sha256)`. It is stricter when it reads: a token must be byte for byte as issued. The keyed
    digests are computed once, so that rejecting a forged token is cheap.

    Args:
        secret_keys: oldest first; the last one signs. Each has at least 32 characters.
        salt: what the tokens are for; a token of one salt is invalid under another.

    Raises:
        ValueError: there is no key, or one is shorter than 32 characters or an example of the documentation.
    """

    def __init__(self, secret_keys: str | Sequence[str], salt: str) -> None:
        keys = [secret_keys] if isinstance(secret_keys, str) else secret_keys
        if (
            not isinstance(keys, list | tuple)
            or not keys
            or not all(isinstance(key, str) and len(key) >= SHORTEST_KEY and not key.isspace() for key in keys)
        ):
            raise ValueError(
                f"secret_keys: each key is a text of at least {SHORTEST_KEY} characters, and one is needed. "
                'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if not _PUBLIC_KEYS.isdisjoint(keys):
            raise ValueError(
                "secret_keys: this text is an example, which everybody knows. "
                'Read a key of your own from the environment, as in os.environ["CONSENT_KEY"].'
            )
        signer = TimestampSigner(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        # The newest key comes first: it signs, and it has signed most tokens.
        derived = [signer.derive_key(key) for key in reversed(signer.secret_keys)]
        self._keys = [_Keyed(key) for key in derived]

    def sign(self, value: bytes, now: int) -> bytes:
        """Return the token for a value, issued at `now` (seconds since 1970)."""
        signed = value + b"." + base64_encode(int_to_bytes(now))
        return signed + b"." + self._keys[0].signature(signed)

    def read(self, token: bytes) -> tuple[bytes, int] | None:
        """Return a token's value and its time of issue (seconds since 1970), or None if it is not exactly as issued."""
        if len(token) > LONGEST_TOKEN:
            return None
        signed, _, signature = token.rpartition(b".")
        for key in self._keys:
            if hmac.compare_digest(key.signature(signed), signature):
                value, _, issued = signed.rpartition(b".")
                seconds = _seconds(issued)
                return None if seconds is None else (value, seconds)
        return None


def _seconds(issued: bytes) -> int | None:
    """Read a time of issue; return None if something else was signed with our key."""
    try:
        octets = binascii.a2b_base64(issued.translate(_FROM_URLS) + b"==")
    except binascii.Error:
        return None
    seconds = int.from_bytes(octets, "big")
    # The decoder skips bytes that are not base64, so only an exact round trip proves the token unchanged.
    return seconds if seconds <= _LATEST and octets[:1] != b"\0" and _base64(octets) == issued else None


def _base64(octets: bytes) -> bytes:
    """Return octets in URL-safe base64 without padding (RFC 4648, section 5)."""
    return binascii.b2a_base64(octets).rstrip(b"=\n").translate(_TO_URLS)


class _Keyed:
    """HMAC-SHA-256 under one key (RFC 2104). It hashes the key once and copies the two states for each message.

    Args:
        key: at most one block long, which a digest is.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")
        # The constants are the RFC's inner and outer padding.
        self._inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in block))

    def signature(self, signed: bytes) -> bytes:
        """Return the signature of a value, in URL-safe base64."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return _base64(outer.digest())
