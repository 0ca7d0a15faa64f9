"""Tests of the scripts and styles: what is served, their size, and what they must not do."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import brotli
import pytest

from cookie_consent.visitors.pages.assets import assets

STATIC = Path(__file__).parents[2] / "static"
SCRIPTS, STYLES = ("choices.js", "landing.js", "question.js", "track.js"), ("choices.css", "settings.css")


def source(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def served(name: str) -> str:
    return assets()[name].content.decode()


def code_lines(text: str) -> list[str]:
    """Return the lines of a script without indentation, types and comments at the beginning of a line."""
    lines, in_comment = [], False
    untyped = re.sub(r"/\*\* @type [^*]*\*/ ?", "", text)
    for line in map(str.strip, untyped.splitlines()):
        while in_comment or line.startswith("/*"):
            _, end, after = line.partition("*/")
            line, in_comment = after.strip(), not end
            if in_comment:
                break
        if line and not in_comment and not line.startswith("//"):
            lines.append(line)
    return lines


def test_static_folder_and_assets_have_expected_files() -> None:
    others = {"choices.d.ts", "window.d.ts", "autoconsent.json"}
    assert {path.name for path in STATIC.iterdir()} == {*SCRIPTS, *STYLES, *others}
    assert assets().keys() == {*SCRIPTS, *STYLES}


def without_space(text: str) -> str:
    """Return a script without white space, trailing commas, and semicolons before a brace."""
    return re.sub(r";(?=\})|,(?=[)}\]])", "", "".join(text.split()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_served_script_is_source_without_comments_and_types(name: str) -> None:
    lines = code_lines(source(name))
    assert without_space(served(name)) == without_space("".join(lines))
    assert not re.search(r"\s{2}|/\*|[;{,(] ?\n", served(name))
    texts = [text for line in lines for text in re.findall(r"""".*?"|'.*?'|`.*?`|\b\w+ \w+\b""", line)]
    assert [text for text in texts if text not in served(name)] == []


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.slow
def test_served_script_is_valid_javascript(name: str, tmp_path: Path) -> None:
    script = tmp_path / f"{name}.mjs"
    script.write_bytes(assets()[name].content)
    subprocess.run(["node", "--check", script], check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_served_line_continues_previous_line_by_accident(name: str) -> None:
    """Without a comment at the beginning of a line, the line must not become a call of the line before."""
    assert not [
        (before, line)
        for before, line in pairwise(code_lines(source(name)))
        if line.startswith(("(", "[", "`")) and before[-1] not in ";{}=(,&|?:>["
    ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_string_in_script_looks_like_a_comment(name: str) -> None:
    assert not [line for line in source(name).splitlines() if re.search(r"""["'`].*/\*.*["'`]""", line)]


@pytest.mark.parametrize("name", STYLES)
def test_served_style_is_source_without_comments_and_spaces(name: str) -> None:
    plain = re.sub(r"/\*.*?\*/", "", source(name), flags=re.DOTALL)
    rules = [" ".join(part.split()) for part in re.split(r"([{};,])", plain)]
    assert served(name) == re.sub(r"\b: ", ":", "".join(rules))
    assert not re.search(r"/\*|\n|\t|  ", served(name))


def test_banner_script_and_style_are_under_4_kb() -> None:
    sizes = [len(brotli.compress(assets()[name].content, quality=11)) for name in ("choices.js", "choices.css")]
    assert sum(sizes) < 4000


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "never",
    ["document.cookie", "cookieStore", "setItem", "getItem", "sessionStorage", "indexedDB", "caches", "innerHTML",
     "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://"],
)  # fmt: skip
def test_scripts_store_nothing_and_evaluate_no_text(name: str, never: str) -> None:
    assert never not in source(name)


def test_banner_script_checks_local_storage_without_storing() -> None:
    assert [line for line in code_lines(source("choices.js")) if "localStorage" in line] == [
        "void window.localStorage;"
    ]
    assert "localStorage" not in source("question.js")


def test_banner_script_imports_only_optional_scripts() -> None:
    imports = re.compile(r"^\s*import\b(?!\.meta|\().*|\bimport\([^)]*\)|\bfrom\s+[\"'].*", re.MULTILINE)
    assert imports.findall("\n".join(code_lines(source("choices.js")))) == [
        f"import(`${{base}}/{name}.js`)" for name in ("landing", "question")
    ]
    assert imports.findall("\n".join(code_lines(source("question.js")))) == []


def test_scripts_export_expected_names() -> None:
    exported = {name: re.findall(r"^export (?:async )?\w+ (\w+)", source(name), re.MULTILINE) for name in SCRIPTS}
    assert exported == {
        "choices.js": ["consent"],
        "landing.js": ["tell"],
        "question.js": ["bring"],
        "track.js": ["track"],
    }


def test_selectors_unknown_to_old_browsers_stand_alone() -> None:
    """A browser drops the whole list if it does not know one selector, except inside :is() (Selectors 4)."""
    for selectors in re.findall(r"([^{}]*)\{", served("choices.css")):
        outside = re.sub(r":is\((?:[^()]|\([^()]*\))*\)", "", selectors)
        parts = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", outside).split(",")
        assert len(parts) == 1 or not re.search(r":has\b|:modal", outside), selectors


@pytest.mark.parametrize("name", STYLES)
def test_styles_load_nothing_and_are_accessible(name: str) -> None:
    style = source(name)
    assert "url(" not in style
    assert "@import" not in style
    # Dark mode: by rules of our own, or by the system's colours.
    assert "prefers-color-scheme: dark" in style or re.search(r"color-scheme: .*\blight dark\b", style)
    assert ":focus-visible" in style
    assert "min-block-size: 44px" in style
    # Logical properties instead of left and right, for right-to-left languages.
    assert not re.search(r"\b(left|right)\b", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    # Nothing moves, so prefers-reduced-motion needs no rule.
    assert not re.search(r"\b(animation|transition)\b", style)
