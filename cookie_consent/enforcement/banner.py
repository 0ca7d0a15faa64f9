"""Whether a page asks, and with what."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.tracing.access_record import LONGEST, origin_of
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import Asking

_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_SHORTEST = min(map(len, _UNHELPFUL))
_PATHSEND = "http.response.pathsend"


def wanting_a_whole_page(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the scope of a request, made to ask for a page in plain, whole and new where a browser asks for a page.

    A compressed page cannot be asked in, one that the server sends from the disk passes us by, and "not modified"
    would bring back a page from before the question.
    """
    for name, value in scope["headers"]:
        if name == b"accept" and b"text/html" in value:
            break
    else:
        return scope
    # The names are long: their lengths are cheaper to compare than their letters.
    headers = [field for field in scope["headers"] if len(field[0]) < _SHORTEST or field[0] not in _UNHELPFUL]
    whole = {**scope, "headers": headers}
    if _PATHSEND in (scope.get("extensions") or ()):
        whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
    return whole


def referrer(fields: Mapping[bytes, bytes]) -> str:
    """Return the origin of another site from which somebody came to a page; "" where there is none.

    Args:
        fields: the request's header fields by their names in small letters.
    """
    before = fields.get(b"referer", b"")
    if not before or before.split(b"/", 3)[2:3] == [fields.get(b"host", b"")]:
        return ""
    return origin_of(before[:LONGEST].decode("latin-1"))


def preload(base: str, nonce: str) -> tuple[bytes, bytes]:
    """Return the header field that lets the browser load the banner's stylesheet while the page still comes (RFC 8288).

    It stands at the beginning of <body>, where browsers wait for it before they show what follows.
    """
    attribute = f'; nonce="{nonce}"' if nonce else ""
    return b"link", f"<{base}/assets/{assets()['choices.css'].name}>; rel=preload; as=style{attribute}".encode()


class Fragments:
    """Makes what is put into one page, in the page's own language where the app says no other.

    Args:
        pages: makes what visitors read.
        decision: what holds, and what was answered.
        consent: the same as the app sees it.
        scope: the request.
        encoding: the page's.
        asking: how the page asks; None where it does not.
    """

    __slots__ = ("_asking", "_consent", "_decision", "_pages", "_where")

    def __init__(
        self,
        pages: Pages,
        decision: Decision,
        consent: RequestConsent,
        scope: Mapping[str, Any],
        *,
        encoding: str,
        asking: Asking | None,
    ) -> None:
        self._pages, self._decision, self._consent, self._asking = pages, decision, consent, asking
        self._where: dict[str, Any] = {"base": consent.base, "next_path": own_path(scope), "encoding": encoding}

    def question(self, page_language: str | None) -> bytes:
        """Return the banner; nothing where the page is not asked in. The page's language is known from here on."""
        self._where["language"] = self._consent.language_of_page(page_language)
        if self._asking is None:
            return b""
        return self._pages.banner(self._decision, asking=self._asking, **self._where)

    @property
    def language(self) -> str:
        """The language that it is in, once the question was made."""
        return str(self._where["language"])

    def way_back(self, *, link: bool) -> bytes:
        """Return the link to the settings page, where it is wanted, and what is new in the policy."""
        return self._pages.way_back(self._decision, link=link, **self._where)
