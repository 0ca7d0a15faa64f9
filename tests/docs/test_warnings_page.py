"""Tests of the page on warnings: it lists each line that the package logs as a warning or an error."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from tests.support.asgi import SITE, call, install, reply_app
from tests.support.documentation import ROOT, blocks

PAGE = (ROOT / "docs" / "warnings.md").read_text(encoding="utf-8")
LOGGING = ("_log.warning", "_log.error", "_log.exception")
MADE_ELSEWHERE = {"decision/gate.py", "enforcement/csp/security_fields.py", "base/limits.py"}
"""Modules that log sentences which a function makes; see the other tests."""
LONGEST = 40


def written(node: ast.expr, constants: dict[str, str]) -> str:
    """Return a text of the code as the page writes it, with "…" for what differs."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    text = constants[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
    return re.sub(r"%[a-z]", "…", text)


def logged_lines() -> Iterator[tuple[str, str]]:
    """Yield each place that logs a warning or an error, and its text."""
    package = ROOT / "cookie_consent"
    for path in sorted(package.rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value.value
            for node in module.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in LOGGING:
                yield str(path.relative_to(package)), written(node.args[0], constants)


@pytest.mark.slow
def test_page_lists_each_warning_and_error() -> None:
    lines = [*logged_lines()]
    made = {path for path, text in lines if not text.strip("…: ")}
    assert made == MADE_ELSEWHERE
    assert [text for _, text in lines if text.strip("…: ") and text[:LONGEST] not in PAGE] == []
    assert len(lines) > 40


def test_page_lists_the_advice_on_policies() -> None:
    module = ast.parse((ROOT / "cookie_consent/enforcement/csp/advice.py").read_text(encoding="utf-8"))
    nodes = [*ast.walk(module)]
    made = [node.value for node in nodes if isinstance(node, ast.Yield | ast.Return)]
    made += [
        node.args[0] for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append")
    ]
    sentences = [written(node, {}) for node in made if isinstance(node, ast.JoinedStr | ast.Constant)]
    assert len(sentences) == 6
    assert [text for text in sentences if text[:LONGEST] not in PAGE] == []


def test_page_lists_the_failures_of_the_ledger() -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "cookie_consent").rglob("*.py")]
    failures = [found for text in files for found in re.findall(r'log_failure\("(.*?)"', text)]
    assert failures
    assert [text for text in failures if text not in PAGE] == []


@pytest.mark.parametrize("undeclared", ["hold", "allow"])
def test_page_lists_the_warnings_of_the_gate(caplog: pytest.LogCaptureFixture, undeclared: str) -> None:
    sets = ["mystery=1", "__Host-consent=x; Secure; Path=/", "session=1; Max-Age=99999999"]
    call(install(reply_app(sets=sets), undeclared=undeclared), headers=[("cookie", "other=1")])
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 4
    for message in messages:
        sentence = re.sub(r'(?<=cookie ")[^"]*', "…", message.partition("\n")[0])
        sentence = sentence.replace("the browser session", "…")
        assert sentence[:LONGEST] in PAGE


def test_counter_of_the_page_counts_held_cookies() -> None:
    (block,) = [block for block in blocks("docs/warnings.md", "python") if "Prometheus" in block or "REGISTRY" in block]
    names: dict[str, object] = {}
    before = {*REGISTRY._collector_to_names}
    exec(block, names)  # noqa: S102 (a block of our own)
    try:
        call(install(reply_app(sets=["_ga=1"]), SITE))
        sample = {"direction": "response", "reason": "analytics"}
        assert (REGISTRY.get_sample_value("cookie_consent_held_cookies_total", sample) or 0) >= 1
    finally:
        for collector in {*REGISTRY._collector_to_names} - before:
            REGISTRY.unregister(collector)
