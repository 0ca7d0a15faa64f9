"""The error for a policy that cannot be used, and the hints in its message."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PolicyError(ValueError):
    """A policy cannot be used. The message says where, what is wrong and what would be right.

    Attributes:
        problem: what is wrong.
        remedy: what would be right.
        key: the key in the table, or "".
        table: the table, as the policy file writes it: "[site]"; or "".
        file: the path of the policy file, or "".
    """

    def __init__(self, problem: str, remedy: str = "", *, key: str = "", table: str = "", file: str = "") -> None:
        self.problem, self.remedy, self.key, self.table, self.file = problem, remedy, key, table, file
        place = " ".join(filter(None, [file and f"{file}:", table, key and f'key "{key}":']))
        super().__init__(" ".join(filter(None, [place, problem.rstrip(".") + ".", remedy])))

    def at(self, *, table: str = "", key: str = "", file: str = "") -> PolicyError:
        """Return the same error with those of its places filled in that are still empty."""
        return PolicyError(
            self.problem,
            self.remedy,
            key=self.key or key,
            table=self.table or table,
            file=self.file or file,
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word most like `word`, or else all known words."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f'Did you mean "{near[0]}"?'
    return f"Known: {', '.join(names)}." if names else "None is declared."
