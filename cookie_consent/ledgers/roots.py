"""Roots of the chain that are kept elsewhere, a line each: signed, so that nobody else can write one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers.chain import Root

_SALT = "cookie_consent.root"


class WrongSignatureError(ValueError):
    """A root that bears no signature, or another one than it was given."""


@dataclass(frozen=True, slots=True)
class KeptRoot:
    """A root as it was kept.

    Args:
        root: the root.
        signed_at: when it was signed (seconds since 1970); None where the signature was not checked.
    """

    root: Root
    signed_at: int | None


def root_signer(secret_keys: Sequence[str]) -> Signer:
    """Return what signs roots, and checks their signatures.

    Args:
        secret_keys: oldest first; the last one signs.

    Raises:
        ValueError: there is no key, or one is shorter than 32 characters.
    """
    return Signer(secret_keys, _SALT)


def write_root(root: Root, signer: Signer, now: int) -> str:
    """Return the line to keep of a root: the root, the time (seconds since 1970) and the signature."""
    return signer.sign(str(root).encode(), now).decode()


def read_root(line: str, signer: Signer | None) -> KeptRoot:
    """Return the root that a line says.

    Args:
        line: as `write_root` returned it, or the root alone.
        signer: checks the signature; None where there is no key to check it with.

    Raises:
        WrongSignatureError: the signature is wrong or missing.
        ValueError: the line says no root.
    """
    line = line.strip()
    root = Root.parse(line.partition(".")[0])
    if signer is None:
        return KeptRoot(root, None)
    signed = signer.read(line.encode(errors="replace"))
    if signed is None:
        raise WrongSignatureError(f"the root {root} does not bear the site's signature")
    return KeptRoot(root, signed[1])


def root_lines(given: str) -> list[str]:
    """Return the roots that somebody names: by the line itself, or by the path of a file of such lines.

    Raises:
        OSError: it is the path of a file that cannot be read.
        ValueError: the file has no lines, or is no text.
    """
    if ":" in given and not Path(given).exists():
        return [given]
    lines = [line for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    return lines
