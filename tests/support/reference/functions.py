"""Functions and classes, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.reference.docstrings import docstring_of
from tests.support.reference.markdown import block, paragraphs, sentence, table


def described(function: Callable[..., Any], called: str) -> Iterator[str]:
    """Yield the signature of a function, what it does, its arguments and its errors."""
    signature = inspect.signature(function)
    parameters = [part for part in signature.parameters.values() if part.name != "self"]
    shown = signature.replace(parameters=parameters)
    # Annotations are strings, since the modules postpone their evaluation.
    plain = re.sub(r"(: |-> )'([^']*)'", r"\1\2", f"{called}{shown}").replace("'", '"')
    yield block("python", f"await {plain}" if inspect.iscoroutinefunction(function) else plain)
    yield from explained(function)


def explained(public: Callable[..., Any]) -> Iterator[str]:
    """Yield what a function or class does, its arguments and attributes, and its errors."""
    documented = docstring_of(public)
    yield from paragraphs(documented.text)
    if documented.names:
        yield table(
            ("argument", "what it is"), ((f"`{arg}`", sentence(text)) for arg, text in documented.names.items())
        )
    for error, when in documented.raises.items():
        yield f"**Raises** `{error}`: {sentence(when)}"
