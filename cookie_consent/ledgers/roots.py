"""Signed roots of the chain, one a line, to keep outside the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cookie_consent.decision.tokens import Signer
from cookie_consent.ledgers.chain import Root

_SALT = "cookie_consent.root"


class WrongSignatureError(ValueError):
    """A root has no signature, or a wrong one."""


@dataclass(frozen=True, slots=True)
class KeptRoot:
    """A root read back from where it was saved.

    Args:
        root: the root.
        signed_at: when it was signed, as Unix time in seconds; None if the signature was not checked.
    """

    root: Root
    signed_at: int | None


def root_signer(secret_keys: Sequence[str]) -> Signer:
    """Return the signer that signs and verifies roots.

    Args:
        secret_keys: oldest first; the last one signs.

    Raises:
        ValueError: there is no key, or one is shorter than 32 characters.
    """
    return Signer(secret_keys, _SALT)


def write_root(root: Root, signer: Signer, now: int) -> str:
    """Return the line to save for a root: the root, the Unix time and the signature."""
    return signer.sign(str(root).encode(), now).decode()


def read_root(line: str, signer: Signer | None) -> KeptRoot:
    """Return the root on a line.

    Args:
        line: a line from `write_root`, or a root alone.
        signer: verifies the signature; None to skip the check.

    Raises:
        WrongSignatureError: the signature is wrong or missing.
        ValueError: the line contains no root.
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
    """Return the lines that an argument names: itself, or the lines of the file at that path.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is empty or not UTF-8 text.
    """
    if ":" in given and not Path(given).exists():
        return [given]
    lines = [line for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    return lines
