"""What is inserted into a page, the banner above all, and what a page needs for it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.tracing.access_record import LONGEST, origin_of
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import QuestionOptions

_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_SHORTEST = min(map(len, _UNHELPFUL))
_PATHSEND = "http.response.pathsend"


def requesting_whole_page(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the scope of a request, changed to ask for a complete, uncompressed page if the request is for a page.

    A banner cannot be inserted into a compressed page, or into a file that the server sends by itself. A "not modified"
    response would show a page from before the question.
    """
    for name, value in scope["headers"]:
        if name == b"accept" and b"text/html" in value:
            break
    else:
        return scope
    # All these names are long, and comparing lengths first is cheaper than hashing each name.
    headers = [field for field in scope["headers"] if len(field[0]) < _SHORTEST or field[0] not in _UNHELPFUL]
    whole = {**scope, "headers": headers}
    if _PATHSEND in (scope.get("extensions") or ()):
        whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
    return whole


def referrer(fields: Mapping[bytes, bytes]) -> str:
    """Return the origin of the other site that a visitor came from, or "".

    Args:
        fields: the request's header fields by name, in lowercase.
    """
    before = fields.get(b"referer", b"")
    if not before or before.split(b"/", 3)[2:3] == [fields.get(b"host", b"")]:
        return ""
    return origin_of(before[:LONGEST].decode("latin-1"))


def preload(base: str, nonce: str) -> tuple[bytes, bytes]:
    """Return the Link field that makes the browser load the banner's stylesheet early (RFC 8288).

    The stylesheet is at the beginning of <body>, and browsers do not show what follows before it is loaded.

    Args:
        base: the path of the endpoints.
        nonce: the nonce for stylesheets, or "".
    """
    attribute = f'; nonce="{nonce}"' if nonce else ""
    return b"link", f"<{base}/assets/{assets()['choices.css'].name}>; rel=preload; as=style{attribute}".encode()


class Fragments:
    """Makes what is inserted into one page, in the app's language or else the page's.

    Args:
        pages: renders the HTML.
        decision: the decision on the request.
        consent: the same decision as the app sees it.
        scope: the request's ASGI scope.
        encoding: the page's character encoding.
        options: how the page asks, or None if it does not.
    """

    __slots__ = ("_consent", "_decision", "_options", "_pages", "_where")

    def __init__(
        self,
        pages: Pages,
        decision: Decision,
        consent: RequestConsent,
        scope: Mapping[str, Any],
        *,
        encoding: str,
        options: QuestionOptions | None,
    ) -> None:
        self._pages, self._decision, self._consent, self._options = pages, decision, consent, options
        self._where: dict[str, Any] = {"base": consent.base, "next_path": own_path(scope), "encoding": encoding}

    def question(self, page_language: str | None) -> bytes:
        """Return the banner, or nothing if the page does not ask. This sets `language`.

        Args:
            page_language: the value of the page's lang attribute, if it has one.
        """
        self._where["language"] = self._consent.language_of_page(page_language)
        if self._options is None:
            return b""
        return self._pages.banner(self._decision, options=self._options, **self._where)

    @property
    def language(self) -> str:
        """The language of the inserted HTML, once `question` was called."""
        return str(self._where["language"])

    def footer(self, *, link: bool, style_nonce: str | None) -> bytes:
        """Return the link to the settings page, if `link` is set, and the announcement of a policy change, if any.

        Args:
            link: whether there is a link to the settings page.
            style_nonce: the nonce for an inline style; "" for none, None if the page must not have such a style.
        """
        return self._pages.footer(self._decision, link=link, style_nonce=style_nonce, **self._where)
