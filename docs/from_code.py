"""A Sphinx extension: in the site, a table of the code stands where a page says `<!-- from the code: NAME -->`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Iterable
from datetime import date, timedelta
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from sphinx.application import Sphinx

from cookie_consent import ConsentMiddleware
from cookie_consent.cli.main import COMMANDS
from cookie_consent.endpoints.answer_body import PostedAnswer
from cookie_consent.endpoints.endpoints import ENDPOINTS
from cookie_consent.endpoints.settings import describe_state
from cookie_consent.policy import parts
from cookie_consent.policy.reader import hints_of_keys, hints_of_tables
from cookie_consent.policy.syntax import written_duration
from cookie_consent.policy.vendors import vendors
from cookie_consent.report.figures import FIGURES, SECTIONS
from cookie_consent.tracing.events import _CHECKS
from tests.support.requirements import statement

PREFIX = "/privacy-choices"
NAMED = re.compile(r"^( *)(?:- )?`?(\w+)`?: (.*(?:\n\1 +.*)*)", re.MULTILINE)
"""What a docstring says of a name."""
KINDS: dict[Any, str] = {
    str: "text",
    tuple: "list of texts",
    parts.Texts: "texts",
    bool: "`true`, `false`",
    timedelta: "duration",
    date: "date",
}
INTERNAL = {"language", "service", "surface", "feature", "card", "once", "answered", "notice", "first", "asked"}
"""Fields of an answer that only our own forms send."""
IN_TOML = {"None": "left out", "() ignores": '"ignore" ignores'}
"""What a docstring says of a value in Python -> what a policy file says."""
PARTS: dict[str, Any] = {
    **{name: (get_args(hint) or (hint,))[0] for name, hint in hints_of_tables().items()},
    "authority": parts.Authority,
    "conditions": parts.ServicePurpose,
}
"""Name of a table of the policy file -> the class that holds it."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", fill_page)
    return {"parallel_read_safe": True}


def fill_page(_app: Sphinx, _name: str, content: list[str]) -> None:
    """Put the tables that a page names into it."""
    content[0] = re.sub("<!-- from the code: (.+) -->", lambda found: make_table(found[1]), content[0])


def make_table(name: str) -> str:
    """Return a table as Markdown."""
    if "[" in name:
        return _list_keys(PARTS[name.strip("[]")])
    return {
        "options": _list_options,
        "commands": _list_commands,
        "figures": _list_figures,
        "vendors": _list_vendors,
        "endpoints": _list_endpoints,
        "answer": lambda: _list_names(_read_names(PostedAnswer)),
        "state": lambda: _list_names(_read_names(describe_state)),
        "requirements": statement,
        "events": lambda: _list_names({name: remedy for name, (_, remedy) in _CHECKS.items()}),
    }[name]()


def _list_options() -> str:
    meanings = _read_names(ConsentMiddleware)
    options = [option for name, option in inspect.signature(ConsentMiddleware).parameters.items() if name in meanings]
    rows = ((f"`{option.name}`", _write_default(option), meanings[option.name]) for option in options)
    return _table(("option", "default", "what it says"), rows)


def _write_default(option: inspect.Parameter) -> str:
    return "needed" if option.default is option.empty else f"`{option.default!r}`".replace("'", '"')


def _list_keys(part: Any) -> str:
    """Return the keys of a table of the policy file."""
    meanings = _read_names(part)
    fields = {field.name: field for field in dataclasses.fields(part)}
    rows = []
    for key, hint in hints_of_keys(part).items():
        meaning = meanings[key]
        for in_python, in_toml in IN_TOML.items():
            meaning = meaning.replace(in_python, in_toml)
        rows.append((f"`{key}`", _name_kind(hint), _name_default(fields[key]), meaning))
    return _table(("key", "type", "default", "meaning"), rows)


def _name_kind(hint: Any) -> str:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = get_args(plain)[0] if isinstance(plain, UnionType) else plain
    return KINDS.get(kind) or KINDS.get(get_origin(kind), "table")


def _name_default(field: dataclasses.Field[Any]) -> str:
    if field.default is field.default_factory is dataclasses.MISSING:
        return "needed"
    if isinstance(field.default, timedelta):
        return f'`"{written_duration(field.default.total_seconds())}"`'
    plain = isinstance(field.default, str | bool) and field.default != ""
    return f"`{field.default!r}`".lower().replace("'", '"') if plain else "–"


class Wide(argparse.HelpFormatter):
    """Writes help as wide as a page, on each terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=86)


def _list_commands() -> str:
    return "\n".join(_describe_command(listed.name, listed.help, listed.load()) for listed in COMMANDS)


def _describe_command(name: str, summary: str, command: Any) -> str:
    parser = argparse.ArgumentParser(
        prog=f"cookie-consent {name}", description=summary, add_help=False, formatter_class=Wide
    )
    command.add_to(parser)
    return f"## `{name}`\n\n```text\n{parser.format_help()}```\n"


def _list_figures() -> str:
    tables = []
    for section, title in SECTIONS.items():
        figures = (_name_figure(figure) for figure in FIGURES if figure.section == section)
        tables.append(f"## {title}\n\n{_table(('figure', 'columns'), figures)}")
    return "\n".join(tables)


def _name_figure(figure: Any) -> tuple[str, str]:
    columns = ", ".join(f"`{column.key}`" for column in figure.columns)
    return f"`{figure.name}`<br>{figure.title}", columns


def _list_vendors() -> str:
    rows = (
        (f"`{key}`", vendor.name, ", ".join(vendor.signals), ", ".join(vendor.options))
        for key, vendor in vendors().items()
    )
    return _table(("key", "vendor", "signals", "options"), rows)


def _list_endpoints() -> str:
    described = []
    for path, methods in ENDPOINTS.items():
        address = path if path.startswith("/.well-known") else f"{PREFIX}{path}"
        for method, endpoint in methods.items():
            text, _, raises = (inspect.getdoc(endpoint) or "").partition("Raises:")
            said = _begin_sentence(text.partition("Args:")[0].removeprefix("Respond with ")).strip()
            problems = re.sub(r"\s+", " ", raises).replace(" Problem: ", "\n\nProblems: ")
            described.append(f"### `{method} {address}`\n\n{said}{problems}\n")
    return "\n".join(described)


def _list_names(meanings: dict[str, str]) -> str:
    shown = ((f"`{name}`", text) for name, text in meanings.items() if name not in INTERNAL)
    return _table(("name", "what it is"), shown)


def _read_names(documented: object) -> dict[str, str]:
    """Return name -> what a docstring says of it."""
    return {name: _begin_sentence(text) for _, name, text in NAMED.findall(inspect.getdoc(documented) or "")}


def _begin_sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table as Markdown."""
    head = [*head]
    lines = [head, ["---"] * len(head), *([_write_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _write_cell(text: str) -> str:
    """Return a cell in one line, where only code and line breaks are more than text."""
    parts = re.split(r"(`+[^`]+`+|<br>)", re.sub(r"\s+", " ", text.strip()))
    plain = (part if part.startswith(("`", "<br>")) else re.sub(r"([*<]|__)", r"\\\1", part) for part in parts)
    return "".join(plain).replace("|", "\\|")
