"""The `init` command: writes a first policy file, in the site's languages."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path

from cookie_consent.cli.frame import GOOD, POLICY_FILE, Command, UnusableError, checked, file_errors, option
from cookie_consent.policy.syntax import LANGUAGE, PLACEHOLDER
from cookie_consent.texts.catalog import shipped, shipped_languages

LANGUAGES = ("en", "ja")
"""The languages in which the texts of the file are written."""
_TEXT = re.compile(r'\{ en = "([^"]*)", ja = "([^"]*)" \}')
_BEHIND_TEXTS = re.compile(r"^(.*\}) +(# .*)$", re.MULTILINE)
_COMMENT_COLUMN = 43


def starter(languages: Sequence[str] = LANGUAGES, updated: date | None = None) -> str:
    """Return the first policy file.

    A text in another language than English and Japanese is the English one behind a placeholder.
    """
    text = (files(__package__) / "starter.toml").read_text(encoding="utf-8")
    text = _TEXT.sub(lambda found: _in_languages(languages, *found.groups()), text)
    text = _BEHIND_TEXTS.sub(lambda found: f"{found[1]:<{_COMMENT_COLUMN - 1}} {found[2]}", text)
    text = _with_value(text, "prevailing_language", json.dumps(languages[0]))
    text = _with_value(text, "languages", json.dumps(list(languages)))
    if updated is not None:
        text = _with_value(text, "updated", updated.isoformat())
    if _base(languages[0]) != "en":
        text = text.replace("[texts.en]", f"[texts.{languages[0]}]").replace('"Your choice"', f'"{PLACEHOLDER}"')
    return text


def language_tags(text: str) -> list[str]:
    """Return the language tags in a text, such as "en,pt-BR", in their usual case and each once.

    Raises:
        ValueError: one is no language tag, or no texts ship for its language.
    """
    tags = list(dict.fromkeys(_in_usual_case(tag.strip()) for tag in text.split(",")))
    for tag in tags:
        if not LANGUAGE.fullmatch(tag) or not shipped(tag):
            raise ValueError(f'no texts ship for "{tag}". They do for: {", ".join(shipped_languages())}.')
    return tags


def _in_usual_case(tag: str) -> str:
    """Return a language tag in the case that RFC 5646, section 2.1.1, recommends: "pt-BR", "zh-Hant"."""
    language, *more = tag.lower().split("-")
    cased = {2: str.upper, 4: str.title}
    return "-".join([language, *(cased.get(len(part), str)(part) for part in more)])


def _base(language: str) -> str:
    return language.partition("-")[0]


def _in_languages(languages: Sequence[str], english: str, japanese: str) -> str:
    known = {"en": english, "ja": japanese}
    to_write = english if english.startswith(PLACEHOLDER) else f"{PLACEHOLDER} {english}"
    texts = (f'{language} = "{known.get(_base(language), to_write)}"' for language in languages)
    return f"{{ {', '.join(texts)} }}"


def _with_value(text: str, key: str, value: str) -> str:
    """Return the file with another value for a key of [site], and the comment behind it where it stood."""
    written = f"{key} = {value}".ljust(_COMMENT_COLUMN - 1)
    return re.sub(rf"^{key} = .*?(?=#)", f"{written} ", text, count=1, flags=re.MULTILINE)


def _init(arguments: argparse.Namespace) -> int:
    path = arguments.path
    text = starter(arguments.languages, datetime.now().astimezone().date())
    try:
        # Mode "x": a policy that exists is never overwritten, not even between a check and the opening.
        with file_errors(path, "written"), path.open("x", encoding="utf-8") as file:
            file.write(text)
    except UnusableError:
        if path.exists():
            raise UnusableError(f"{path} exists and stays as it is. Name another file.") from None
        raise
    # The comments of the file have it too.
    to_write = f' Write each text that begins with "{PLACEHOLDER}".' if f'= "{PLACEHOLDER} ' in text else ""
    print(
        f"{path} is written.{to_write} Replace what it says by what is true of your site, look it over with\n\n"
        f"    cookie-consent check {path}\n\n"
        "and add the middleware to the app:\n\n"
        f'    app.add_middleware(ConsentMiddleware, policy="{path}", '
        'secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce")'
    )
    return GOOD


INIT = Command(
    (
        option(
            "path", nargs="?", type=Path, default=Path(POLICY_FILE), help="where to write it (default: %(default)s)"
        ),
        option(
            "--languages",
            metavar="TAGS",
            type=checked(language_tags),
            default=[*LANGUAGES],
            help=f"the languages that the site offers, the prevailing one first (default: {','.join(LANGUAGES)})",
        ),
    ),
    _init,
)
