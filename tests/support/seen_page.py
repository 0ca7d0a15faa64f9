"""A page as tests look at it."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

_EMBEDDING = ("iframe", "img", "script")


class Page(HTMLParser):
    """A page as a browser without JavaScript sees it: the content of a <template> is not part of it.

    Attributes:
        ids: the ids of its elements.
        sources: addresses that it loads from other sites.
        choices: choice -> the form that offers it: its hidden fields, and its address as "action".
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.sources: list[str] = []
        self.choices: dict[str, dict[str, str]] = {}
        self._form: dict[str, str] = {}
        self._templates = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Process a start tag; called by the parser."""
        given = {name: value or "" for name, value in attrs}
        # A template may be in another one, so a flag is not enough.
        if tag == "template":
            self._templates += 1
        elif not self._templates:
            self.ids.add(given.get("id", ""))
            if tag in _EMBEDDING and given.get("src", "").startswith("http"):
                self.sources.append(given["src"])
            self._offer(tag, given)

    def handle_endtag(self, tag: str) -> None:
        """Process an end tag; called by the parser."""
        self._templates -= tag == "template"

    def _offer(self, tag: str, given: Mapping[str, str]) -> None:
        if tag == "form":
            self._form = {"action": given.get("action", "")}
        elif given.get("type") == "hidden":
            self._form[given["name"]] = given["value"]
        elif given.get("name") == "choice":
            self.choices.setdefault(given["value"], self._form)
