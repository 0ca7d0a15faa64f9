"""What is inserted into a page, the banner above all, and what a page needs for it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.enforcement.csp.tags import (
    allows_inline_script,
    allows_inline_style,
    allows_own_script,
    meta_policies,
)
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.tracing.access_record import LONGEST, origin_of
from cookie_consent.visitors.pages.assets import asset_address
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import QuestionOptions
from cookie_consent.visitors.pages.stylesheet import stylesheet_at_end

_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_SHORTEST = min(map(len, _UNHELPFUL))
_OWN = (b"same-origin", b"same-site")
_RELOADS = (b"max-age=0", b"no-cache")
_PATHSEND = "http.response.pathsend"


def requesting_whole_page(scope: MutableMapping[str, Any], *, is_page: bool = False) -> MutableMapping[str, Any]:
    """Return the scope of a request, changed to ask for a complete, uncompressed page if the request is for a page.

    A banner cannot be inserted into a compressed page, or into a file that the server sends by itself. A "not modified"
    response would show a page from before the question.

    Args:
        scope: the request's ASGI scope.
        is_page: whether it is for a page, whatever it accepts.
    """
    for name, value in scope["headers"]:
        if name == b"accept" and b"text/html" in value:
            break
    else:
        if not is_page:
            return scope
    # All these names are long, and comparing lengths first is cheaper than hashing each name.
    headers = [field for field in scope["headers"] if len(field[0]) < _SHORTEST or field[0] not in _UNHELPFUL]
    whole = {**scope, "headers": headers}
    if _PATHSEND in (scope.get("extensions") or ()):
        whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
    return whole


def arrival(fields: Mapping[bytes, bytes]) -> tuple[bool, str]:
    """Return whether a visitor comes to the site with this page, and the origin of the other site, or "".

    Browsers say whether a page of the site led here (Fetch Metadata, "Sec-Fetch-Site"), older ones by the referrer. Who
    loads a page again does not come (Fetch, cache mode "no-cache").

    Args:
        fields: the request's header fields by name, in lowercase.
    """
    before = fields.get(b"referer", b"")
    is_own = before.split(b"/", 3)[2:3] == [fields.get(b"host", b"")]
    led = fields.get(b"sec-fetch-site")
    is_first = (not is_own if led is None else led not in _OWN) and fields.get(b"cache-control") not in _RELOADS
    return is_first, "" if is_own or not before else origin_of(before[:LONGEST].decode("latin-1"))


def preload(base: str, nonce: str) -> tuple[bytes, bytes]:
    """Return the Link field that makes the browser load the banner's stylesheet early (RFC 8288).

    Without it, browsers load a deferred stylesheet after all else.

    Args:
        base: the path of the endpoints.
        nonce: the nonce for stylesheets, or "".
    """
    attribute = f'; nonce="{nonce}"' if nonce else ""
    return b"link", f"<{asset_address(base, 'choices.css')}>; rel=preload; as=style{attribute}".encode()


@dataclass(slots=True)
class PageStyle:
    """Whether our stylesheets are inline in a page, by its Content-Security-Policies.

    Args:
        policies: the policies in its header fields.
        nonce: the nonce for stylesheets, or "".
        is_inline: whether they may be inline, but for the policies.
    """

    policies: list[bytes]
    nonce: str
    is_inline: bool

    def __post_init__(self) -> None:
        self.is_inline = self.is_inline and allows_inline_style(self.policies, self.nonce)

    def read(self, received: bytes) -> None:
        """Heed the policies in a page's meta tags. While its whole head is not known, nothing is inline.

        Args:
            received: the beginning of the page.
        """
        place = received.find(b"<body")
        in_head = meta_policies(received[: max(place, 0)])
        self.policies += in_head
        self.is_inline = self.is_inline and place >= 0 and allows_inline_style(in_head, self.nonce)


class Fragments:
    """Makes what is inserted into one page, in the app's language or else the page's.

    Args:
        pages: renders the HTML.
        decision: the decision on the request.
        consent: the same decision as the app sees it.
        scope: the request's ASGI scope.
        encoding: the page's character encoding.
        options: how the page asks, or None if it does not.
        style: whether stylesheets are inline.
        says_saved: whether the page says, once, that the answer is saved.
    """

    __slots__ = ("_consent", "_decision", "_options", "_pages", "_says_saved", "_style", "_where")

    def __init__(  # noqa: PLR0913 (what is shown, where and how)
        self,
        pages: Pages,
        decision: Decision,
        consent: RequestConsent,
        scope: Mapping[str, Any],
        *,
        encoding: str,
        options: QuestionOptions | None,
        style: PageStyle,
        says_saved: bool = False,
    ) -> None:
        self._pages, self._decision, self._consent = pages, decision, consent
        self._options, self._style, self._says_saved = options, style, says_saved
        self._where: dict[str, Any] = {"base": consent.base, "next_path": own_path(scope), "encoding": encoding}

    def question(self, page_language: str | None, received: bytes) -> bytes:
        """Return the banner if the page asks, and the message that the answer is saved. This sets `language`.

        Args:
            page_language: the value of the page's lang attribute, if it has one.
            received: the beginning of the page.
        """
        self._where["language"] = self._consent.language_of_page(page_language)
        self._style.read(received)
        options, style, shown = self._options, self._style, b""
        if options is not None:
            may_import = style.is_inline and not self._pages.needs_script_early(options.layout)
            may_import = may_import and allows_inline_script(style.policies, options.script_nonce)
            options = replace(
                options, style="inline" if style.is_inline else "deferred", script="late" if may_import else "early"
            )
            shown = self._pages.banner(self._decision, options=options, **self._where)
        if self._says_saved:
            brings = options is None and style.is_inline
            told = QuestionOptions(style_nonce=style.nonce, style="inline" if brings else "apart")
            shown += self._pages.saved(self._decision, options=told, **self._where)
        return shown

    @property
    def language(self) -> str:
        """The language of the inserted HTML, once `question` was called."""
        return str(self._where["language"])

    def end(self, *, footer: bool, link: bool) -> bytes:
        """Return what is inserted at the end of the page.

        Args:
            footer: whether to add the link to the settings page and the announcement of a policy change, if any.
            link: whether to add the link.
        """
        options, style, parts = self._options, self._style, list[bytes]()
        if (options is not None or self._says_saved) and not style.is_inline:
            has_script = options is not None and allows_own_script(style.policies, options.script_nonce)
            parts.append(stylesheet_at_end(self._consent.base, style.nonce, has_script=has_script).encode())
        if footer:
            nonce = style.nonce if style.is_inline else None
            parts.append(self._pages.footer(self._decision, link=link, style_nonce=nonce, **self._where))
        return b"".join(parts)
