"""What is inserted into a page, the banner above all, and what a page needs for it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.http.request_consent import RequestConsent, own_path
from cookie_consent.http.tags import TagRules, has_policy
from cookie_consent.pages.assets import asset_address
from cookie_consent.pages.pages import Pages
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.pages.tags import stylesheet_at_end
from cookie_consent.tracing.access_record import LONGEST, origin_of

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


def rules_of_page(rules: TagRules, received: bytes) -> TagRules:
    """Return what a page's policies say of our tags.

    Where its head has a policy too, or is not known as a whole, our tags only name files.

    Args:
        rules: what the policies in its header fields say.
        received: the beginning of the page.
    """
    place = received.find(b"<body")
    if place >= 0 and not has_policy(received[:place]):
        return rules
    return replace(rules.only_files(), own_script=rules.own_script and place < 0)


class Fragments:
    """Makes what is inserted into one page, in the app's language or else the page's.

    Args:
        pages: renders the HTML.
        decision: the decision on the request.
        consent: the same decision as the app sees it.
        scope: the request's ASGI scope.
        encoding: the page's character encoding.
        options: how the page asks, or None if it does not.
        rules: what the policies in the page's header fields say of our tags.
        says_saved: whether the page says, once, that the answer is saved.
        is_shared: whether the page is the same for everybody, whatever the browser accepts.
    """

    __slots__ = ("_consent", "_decision", "_is_shared", "_options", "_pages", "_rules", "_says_saved", "_where")

    def __init__(  # noqa: PLR0913 (what is shown, where and how)
        self,
        pages: Pages,
        decision: Decision,
        consent: RequestConsent,
        scope: Mapping[str, Any],
        *,
        encoding: str,
        options: QuestionOptions | None,
        rules: TagRules,
        says_saved: bool = False,
        is_shared: bool = False,
    ) -> None:
        self._pages, self._decision, self._consent = pages, decision, consent
        self._options, self._rules, self._says_saved = options, rules, says_saved
        self._is_shared = is_shared
        # Caches may leave out parts of the query. The script of shared pages knows it.
        path = own_path({**scope, "query_string": b""} if is_shared else scope)
        self._where: dict[str, Any] = {"base": consent.base, "next_path": path, "encoding": encoding}

    def question(self, page_language: str | None, received: bytes) -> bytes:
        """Return the banner if the page asks, and the message that the answer is saved. This sets `language`.

        Args:
            page_language: the value of the page's lang attribute, if it has one.
            received: the beginning of the page.
        """
        self._where["language"] = self._consent.language_of_page(page_language, is_shared=self._is_shared)
        self._rules = rules = rules_of_page(self._rules, received)
        options, shown = self._options, b""
        if options is not None:
            may_import = rules.inline_style and rules.inline_script and not self._is_shared
            is_late = may_import and not self._pages.needs_script_early
            options = replace(
                options, style="inline" if rules.inline_style else "deferred", script="late" if is_late else "early"
            )
            shown = self._pages.banner(self._decision, options=options, **self._where)
        if self._says_saved:
            brings = options is None and rules.inline_style
            told = QuestionOptions(style_nonce=rules.style_nonce, style="inline" if brings else "apart")
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
        options, rules, parts = self._options, self._rules, list[bytes]()
        if (options is not None or self._says_saved) and not rules.inline_style:
            has_script = options is not None and rules.own_script
            parts.append(stylesheet_at_end(self._consent.base, rules.style_nonce, has_script=has_script).encode())
        if footer:
            nonce = rules.style_nonce if rules.inline_style else None
            where = {**self._where, "wherever": self._is_shared}
            parts.append(self._pages.footer(self._decision, link=link, style_nonce=nonce, **where))
        return b"".join(parts)
