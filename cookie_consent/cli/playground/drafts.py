"""A draft of a policy as the page sends it, what is wrong with it, and where in its text."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cookie_consent.cli.playground.languages import with_language
from cookie_consent.cli.playground.tables import Table, tables
from cookie_consent.policy import from_toml
from cookie_consent.policy.errors import MOST_SHOWN, PolicyError
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.policy.toml_text import read_text
from cookie_consent.texts.catalog import shipped
from cookie_consent.visitors.pages.rendering import LATER_OPTIONS, LAYOUTS

LONGEST_POLICY = 64 * 1024
"""The most characters of a policy. The package's own examples have less than a tenth."""
LONGEST_THEME = 16 * 1024
_MOST_DOTS = 300
"""The most dots in a line. The time to read a key grows with the square of its parts."""
SCHEMES = ("light", "dark")
"""The possible colour schemes of the site. Here, as of the other options, the first is the default."""
_POLICY_FILE = "consent.toml"
_LINE = re.compile(r"(?:^|at |: )line (\d+)\b")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the page asks to show.

    Args:
        policy: the text of the policy file.
        theme: the CSS of the site.
        layout: where the question stands; one of `LAYOUTS`.
        later: what closing the question does; one of `LATER_OPTIONS`.
        scheme: whether the site is light or dark; one of `SCHEMES`.
        language: the tag of the visitor's language; "" for the prevailing one.
    """

    policy: str
    theme: str = ""
    layout: str = LAYOUTS[0]
    later: str = LATER_OPTIONS[0]
    scheme: str = SCHEMES[0]
    language: str = ""

    @classmethod
    def from_data(cls, data: object) -> Draft:
        """Return the draft in JSON data.

        Raises:
            ValueError: the data are no draft, or too long.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or "policy" not in data or not names.issuperset(data):
            raise ValueError(f"A draft has a policy, and may have: {', '.join(sorted(names))}.")
        if not all(isinstance(value, str) for value in data.values()):
            raise ValueError("Each part of a draft is a text.")
        draft = cls(**data)
        for name, known in (("layout", LAYOUTS), ("later", LATER_OPTIONS), ("scheme", SCHEMES)):
            if getattr(draft, name) not in known:
                raise ValueError(f'A draft\'s "{name}" is one of: {", ".join(known)}.')
        require_short(draft.policy)
        if len(draft.theme) > LONGEST_THEME:
            raise ValueError(f"A style sheet has at most {LONGEST_THEME:,} characters here.")
        return draft

    @property
    def code(self) -> str:
        """The lines of Python that install the middleware with these options."""
        options = {"layout": (self.layout, LAYOUTS), "later": (self.later, LATER_OPTIONS)}
        more = "".join(f', {name}="{value}"' for name, (value, known) in options.items() if value != known[0])
        return (
            "import os\n\n"
            "from cookie_consent import ConsentMiddleware\n\n"
            f'app.add_middleware(ConsentMiddleware, policy="{_POLICY_FILE}", '
            f'secret_keys=[os.environ["CONSENT_KEY"]]{more})'
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a policy.

    Args:
        text: the message of the package.
        line: the number of the line that it is about; 0 if that is not known.
    """

    text: str
    line: int


class WrongDraftError(Exception):
    """A draft cannot be shown.

    Attributes:
        problems: what is wrong.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


def require_short(policy: str) -> None:
    """Check that the text of a policy can be read in a short time.

    Raises:
        ValueError: it is too long, or has a key with too many parts.
    """
    if len(policy) > LONGEST_POLICY:
        raise ValueError(f"A policy has at most {LONGEST_POLICY:,} characters here.")
    if max(line.count(".") for line in policy.split("\n")) > _MOST_DOTS:
        raise ValueError(f"A line of a policy has at most {_MOST_DOTS} dots here.")


def load(draft: Draft, folder: Path) -> Policy:
    """Return the policy of a draft. It offers the draft's language, also if the file does not.

    Args:
        draft: the draft.
        folder: a folder for the file; the package reads policies from files.

    Raises:
        WrongDraftError: the policy cannot be used.
    """
    file = folder / _POLICY_FILE
    file.write_text(draft.policy, encoding="utf-8", errors="replace", newline="\n")
    try:
        policy = policy_in_use(file)
        if not _adds_language(draft, policy):
            return policy
        data = with_language(tomllib.loads(read_text(file)), draft.language)
        return Policy(**vars(from_toml.declarations(data)))
    except PolicyError as error:
        raise WrongDraftError(_problems(error, draft.policy, str(file))) from None
    except RecursionError:
        raise WrongDraftError([Problem(f"{_POLICY_FILE}: its tables are nested too deeply.", 0)]) from None


def _adds_language(draft: Draft, policy: Policy) -> bool:
    """Return whether a draft asks for a shipped language that its policy does not offer."""
    return bool(draft.language and draft.language not in policy.site.languages and shipped(draft.language))


def outline(text: str) -> dict[str, Any]:
    """Return the purposes and languages in the text of a policy, as far as they can be read; {} if it is no TOML."""
    try:
        data = tomllib.loads(text)
        site, purposes = data.get("site", {}), data.get("purposes", {})
        return {
            "languages": [str(tag) for tag in site.get("languages", ())],
            "prevailing": str(site.get("prevailing_language", "")),
            "purposes": [{"id": id_, "title": _titles(purpose)} for id_, purpose in purposes.items()],
        }
    except (tomllib.TOMLDecodeError, AttributeError, TypeError, RecursionError):
        return {}


def _titles(purpose: Mapping[str, Any]) -> dict[str, str]:
    titles = purpose.get("title", {})
    return {tag: str(title) for tag, title in titles.items()} if isinstance(titles, dict) else {}


def _problems(error: PolicyError, text: str, file: str) -> list[Problem]:
    """Return the first errors of a policy, with their lines, and how many more there are."""
    lines = text.split("\n")
    by_name = _tables_by_name(lines)
    shown, rest = error.errors[:MOST_SHOWN], len(error.errors) - MOST_SHOWN
    problems = [Problem(str(one).replace(file, _POLICY_FILE), _line_of(one, lines, by_name)) for one in shown]
    return [*problems, Problem(f"And {rest} more.", 0)] if rest > 0 else problems


def _line_of(error: PolicyError, lines: list[str], by_name: Mapping[str, Table]) -> int:
    """Return the number of the line that an error is about, from 1; 0 if that is not known."""
    if match := _LINE.search(error.problem):
        return int(match[1])
    if "(at end of document)" in error.problem:
        return len(lines)
    table = by_name.get(error.table)
    if table is None:
        return 0
    key = re.compile(rf"\s*{re.escape(error.key)}\s*=")
    in_table = range(table.first, table.last)
    return 1 + next((number for number in in_table if error.key and key.match(lines[number])), table.first)


def _tables_by_name(lines: list[str]) -> dict[str, Table]:
    """Return the tables of a text by the names that errors have for them: the path, or in an array name or number."""
    try:
        found = tables(lines)
    except (tomllib.TOMLDecodeError, LookupError):
        return {}
    by_name, counted = dict[str, Table](), Counter[tuple[str, ...]]()
    for table in found:
        counted[table.path] += 1
        path, name = ".".join(table.path), table.values.get("id", table.values.get("name"))
        for label in (f"[{path}]", f'[[{path}]] "{name}"', f"[[{path}]] no. {counted[table.path]}"):
            by_name.setdefault(label, table)
    return by_name
