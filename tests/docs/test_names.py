"""Tests of names: those that the documentation gives to places in the code, and those that the code makes public."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

import cookie_consent
from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.docs.test_docs import PAGES
from tests.support.asgi import Visitor, install
from tests.support.documentation import ROOT, blocks
from tests.support.policies import consent_record, granting_record, policy_of, refusing_record

PLACE = re.compile(r"`([\w./-]+(?:/|\.(?:py|toml|sql|html|js|css|md|json))(?::[\w.]+)?)`")
PLACEHOLDER = re.compile(r"\b(?!README|CHANGELOG)[A-Z]{3,}\b")
MODULES = re.findall(r"^## `(.+)`$", (ROOT / "docs/reference/public-api.md").read_text("utf-8"), re.MULTILINE)
CONTRACT = {
    *("ConsentMiddleware", "Policy", "Purpose", "Cookie", "Recipient", "Service", "Feature", "Decision", "PolicyError"),
    *("FeatureState", "RequestConsent", "consent_of", "requires"),
}
STATIC = ROOT / "static"
POLICY = policy_of(tomllib.loads(blocks("docs/policy.md", "toml")[0]))
MEDIA_ALONE = consent_record(POLICY, {"analytics": State.REFUSED, "media": State.GRANTED})


# Places.


def places(page: str) -> list[str]:
    """Return the files, folders and names in files that a page names."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [place for place in PLACE.findall(text) if not PLACEHOLDER.search(place.partition(":")[0])]


@cache
def names(path: Path) -> set[str]:
    """Return the names that a module or its classes define; names in a class have the class as prefix."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        found |= names_in(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for part in node.body for name in names_in(part)}
    return found


def names_in(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def exists(place: str) -> bool:
    """Return whether a file is in the package, or else in the checkout, and has the name."""
    path, _, name = place.partition(":")
    file = next((file for file in (ROOT / "cookie_consent" / path, ROOT / path) if file.exists()), None)
    return file is not None and (not name or name in names(file))


def test_named_places_exist() -> None:
    named = [*places("docs/architecture.md"), *places("CONTRIBUTING.md")]
    assert len(named) > 100
    assert [place for place in named if not exists(place)] == []


def test_code_files_named_in_documentation_exist() -> None:
    pages = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")]
    named = {place.partition(":")[0] for page in pages for place in places(page)}
    assert [path for path in named if re.search(r"/.*\.(?:py|sql)$", path) and not exists(path)] == []


def test_named_make_targets_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8") + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "check", "test"} <= set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


# The public API.


def test_all_lists_every_public_name() -> None:
    defined = [name for names in cookie_consent._MODULES.values() for name in names]
    assert cookie_consent.__all__ == sorted(defined, key=lambda name: (name.islower(), name))
    assert set(cookie_consent.__all__) <= set(dir(cookie_consent))


def test_public_name_is_that_of_its_module() -> None:
    for module, names in cookie_consent._MODULES.items():
        imported = importlib.import_module(f"cookie_consent.{module}")
        assert [getattr(cookie_consent, name) for name in names] == [getattr(imported, name) for name in names]


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Consent'"):
        cookie_consent.Consent  # noqa: B018 (its access is what is tested)


def test_contract_names_are_exported() -> None:
    assert set(cookie_consent.__all__) >= CONTRACT


@pytest.mark.parametrize("name", MODULES)
def test_public_module_names_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=lambda public: (public.islower(), public))
    for public in module.__all__:
        documented = getattr(module, public)
        assert documented.__doc__, f"{name}.{public} has no docstring"
        assert documented.__module__.startswith("cookie_consent.")


def test_every_room_without_a_public_name_says_that_it_is_internal() -> None:
    for path in sorted((ROOT / "cookie_consent").glob("*/__init__.py")):
        is_public = any(name.startswith(f"cookie_consent.{path.parent.name}") for name in MODULES)
        assert is_public or "internal" in path.read_text(encoding="utf-8").lower(), path


def test_documentation_and_examples_import_only_what_is_public() -> None:
    texts = [path.read_text("utf-8") for path in (*PAGES, *(ROOT / "examples").rglob("*.py"))]
    found = re.findall(r"^\s*from (cookie_consent[\w.]*) import (\([^)]+\)|.+)", "\n".join(texts), re.MULTILINE)
    imported = {(module, name) for module, names in found for name in re.findall(r"\w+", names)}
    assert len(imported) > 20
    public = {(module, name) for module in MODULES for name in importlib.import_module(module).__all__}
    assert imported <= public


# Pages of the reference that are written by hand.


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def first_cells(text: str, pattern: str) -> set[str]:
    """Return what the first cells of tables name."""
    return set(re.findall(rf"^\| `({pattern})`", text, re.MULTILINE))


def names_of(files: str) -> set[str]:
    return {path.name for path in STATIC.glob(files)}


def test_page_on_css_has_every_property_and_sheet() -> None:
    sheets = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.css"))
    css = page("css.md")
    assert first_cells(css, "--pchoice-[a-z-]+") == set(re.findall(r"--pchoice-[a-z-]+", sheets))
    assert first_cells(css, r"\w+\.css") == names_of("*.css")


def test_page_on_events_has_every_script() -> None:
    assert first_cells(page("events.md"), r"\w+\.js") == names_of("*.js")


def test_page_on_cookies_has_every_cookie_of_ours() -> None:
    site = install(ledger=MemoryLedger(), access_log=MemorySink(), shared_pages=True)
    settings = Visitor(site).get("/privacy-choices").text
    assert first_cells(page("cookies.md"), r"__[\w-]+") == set(re.findall(r"__(?:Host|Secure)-[a-z-]+", settings))


@pytest.mark.parametrize(
    ("answer", "record", "signals"),
    [
        ("nothing yet", None, frozenset()),
        ("all accepted", granting_record(POLICY), frozenset()),
        ("all refused", refusing_record(POLICY), frozenset()),
        ("only `media` accepted", MEDIA_ALONE, frozenset()),
        ("nothing yet, and `Sec-GPC: 1`", None, frozenset({"gpc"})),
        ("all accepted, then `Sec-GPC: 1`", granting_record(POLICY), frozenset({"gpc"})),
    ],
)
def test_values_after_an_answer_are_those_of_the_page(
    answer: str, record: ConsentRecord | None, signals: frozenset[str]
) -> None:
    head, row = (
        re.search(rf"^\| {re.escape(first)} \| (.+) \|$", page("consent.md"), re.M) for first in ("answer", answer)
    )
    assert head
    assert row
    decision = decide(POLICY, record, signals, record.decided_at if record else 0)
    for name, written in zip(head[1].split(" | "), row[1].split(" | "), strict=True):
        assert written == f"`{write(getattr(decision, name.strip('`')))}`"


def write(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(name for name, allowed in value.items() if allowed)
    return repr(value).replace("'", '"')
