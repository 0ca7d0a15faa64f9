"""A faster way to insert the banner and the link to the settings page into ordinary pages.

An ordinary page is sent in one message, begins like an earlier page, and has no header field that needs special care.
The result is the same as for other pages; a test compares the two ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.html.document import LONGEST_KNOWN, known_head, known_starts, start_of_head
from cookie_consent.base.html.injection import html_encoding
from cookie_consent.decision.decision import Decision
from cookie_consent.http.request_consent import own_path
from cookie_consent.http.tags import ENFORCED, NO_RULES, TagRules, has_policy, rules_in
from cookie_consent.pages.pages import Pages
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.pages.tags import script_tag, style_tag, stylesheet_at_end
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.locales import match_short

Key = tuple[Policy, str, bytes, str]
"""Policy, path, query, encoding."""

How = tuple[bool, bool, str]
"""Whether the page has to be reloaded after a grant, which depends on the decision alone; whether the question is the
first of a visit; and the origin of the other site that the visitor came from, or ""."""

_MAX_PLANS = 1024
_MAX_BYTES = 4 * 1024 * 1024
"""The largest total size of the plans."""

_NEED_CARE = frozenset(
    (
        *(b"set-cookie", b"content-range", b"content-encoding", b"content-disposition"),
        *(b"vary", b"cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control"),
        *(b"etag", b"last-modified", b"accept-ranges"),
        *(b"content-md5", b"digest", b"content-digest", b"repr-digest"),
        *(b"content-security-policy", b"content-security-policy-report-only"),
        *(b"content-type", b"content-length"),  # if there is a second one
    )
)
"""Header fields that no ordinary page has, but for one plain Content-Security-Policy. Other fields are sent unchanged
if their names are in lowercase."""


def ordinary_encoding(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int, TagRules]:
    """Return the encoding of an ordinary page, the position of Content-Length, and what its policy says of our tags.

    The encoding is "" if the fields are not those of an ordinary page. The position is -1 without Content-Length.
    """
    kind, length_at, rules = b"", -1, NO_RULES
    for position, (name, value) in enumerate(headers):
        if type(name) is not bytes or type(value) is not bytes:
            return "", -1, rules
        if name == b"content-type" and not kind:
            kind = value
        elif name == b"content-length" and length_at < 0 and value.isdigit() and len(value) < 19:
            length_at = position
        elif name in _NEED_CARE or name.endswith(b"cache-control") or not name.islower():
            if rules is not NO_RULES or name != ENFORCED or not rules_in(value).is_plain:
                return "", -1, rules
            rules = rules_in(value)
    return (html_encoding(kind) or "") if len(kind) <= LONGEST_KEPT else "", length_at, rules


class PagePlan:
    """How the page at one address begins, and what to insert into it.

    Args:
        begun: the beginning of the document, to the end of its html tag.
        tag: the lang attribute of the html tag, or "".
        offered: the languages of the policy.
        next_path: the path and query of the page, to return to it.
        encoding: the page's encoding for fragments; see `injectable`.

    Attributes:
        language: the offered language for the page's language, or None.
        before_head: the beginning of the document, to where the content of its head begins.
        head: the beginning of the document, to the end of its body tag; empty until it is known.
        links: outcome of the decision and language -> the link to the settings page.
        questions: language and whether it is the first of a visit -> the decision of the visitors who are
            asked, and the banner in pieces, which are joined with the id of the form.
    """

    __slots__ = (*("before_head", "begun", "encoding", "head", "language", "links", "next_path", "questions", "tag"),)

    def __init__(self, begun: bytes, tag: str, offered: tuple[str, ...], next_path: str, encoding: str) -> None:
        self.begun, self.tag, self.next_path, self.encoding = begun, tag, next_path, encoding
        self.language = match_short(tag, offered) if tag else None
        self.before_head = self.head = b""
        self.links: dict[tuple[str, str], bytes] = {}
        self.questions: dict[tuple[str, bool], tuple[Decision, list[bytes]]] = {}


class OrdinaryPages:
    """A cache of the plans of ordinary pages.

    Args:
        pages: renders the banner and the link.
        prefix: the path of the endpoints.
        rules: what our own policy says of our tags.

    Attributes:
        around: what brings the stylesheet before the question, the script behind it, and the stylesheet at the end of
            the page; for pages that may not import the script by a line of their own, and for those that may. All
            pages share these bytes.
        plans: policy, path, query and encoding -> plan. A plan applies only to a document that begins with its `begun`.
    """

    def __init__(self, pages: Pages, prefix: str, rules: TagRules) -> None:
        self._pages, self._prefix = pages, prefix
        is_inline, has_script = rules.inline_style, rules.own_script
        before = style_tag("inline", prefix, "").encode() if is_inline else b""
        at_end = b"" if is_inline else stylesheet_at_end(prefix, "", has_script=has_script).encode()
        may_import = is_inline and rules.inline_script and not pages.needs_script_early
        early, late = script_tag("early", prefix, "").encode(), script_tag("late", prefix, "").encode()
        self.around = ((before, early, at_end), (before, late if may_import else early, at_end))
        self._is_inline = is_inline
        options = QuestionOptions(style="apart" if is_inline else "deferred", script="apart")
        self._options = options, replace(options, reloads=True)
        self.plans: dict[Key, PagePlan] = {}
        self._bytes = 0

    def new_plan(self, key: Key, body: bytes) -> PagePlan | None:
        """Make and cache the plan of a page; None if no earlier page began like it, or its address is too long.

        There is no plan for a page with a Content-Security-Policy in a meta tag.

        Args:
            key: the key in `plans`.
            body: the document.
        """
        policy, path, query, encoding = key
        begun = body[: body.find(b">", body.find(b"<html", 0, LONGEST_KNOWN), LONGEST_KNOWN) + 1]
        tag = known_starts.get(begun)
        if tag is None or len(path) + len(query) > LONGEST_KEPT or has_policy(body[: body.find(b"<body")]):
            return None
        next_path = own_path({"path": path, "query_string": query})
        plan = self.plans[key] = PagePlan(begun, tag, policy.site.languages, next_path, encoding)
        plan.before_head = body[: start_of_head(body, len(begun), is_all=True)]
        self._evict_if_full(len(begun) + len(plan.before_head) + 2 * len(next_path))
        return plan

    def keep_link(self, plan: PagePlan, decision: Decision, language: str) -> bytes:
        """Make the link to the settings page for the end of a page in a language, and cache it in the plan."""
        nonce = "" if self._is_inline else None
        where = (self._prefix, language, plan.next_path, plan.encoding)
        link = self._pages.footer(decision, *where, style_nonce=nonce)
        plan.links[decision.outcome, language] = link
        self._evict_if_full(len(link))
        return link

    def question(
        self,
        plan: PagePlan,
        decision: Decision,
        language: str,
        body: bytes,
        how: How,
    ) -> tuple[int, bytes]:
        """Return the position for the banner in a page, and the banner; -1 if no earlier page had the same head.

        A head with a Content-Security-Policy counts as one that no earlier page had.

        Args:
            plan: the page's plan.
            decision: the decision on the request.
            language: the language of the banner.
            body: the document.
            how: how the page asks.
        """
        at = len(plan.head)
        if not at or not body.startswith(plan.head):
            at = known_head(body, len(plan.begun))
            if not at or has_policy(body[:at]):
                return -1, b""
            plan.head = body[:at]
            self._evict_if_full(at)
        where, (reloads, first, origin) = (self._prefix, language, plan.next_path, plan.encoding), how
        options = self._options[reloads]
        if origin:
            options = replace(options, referrer=origin, first=first)
            return at, self._pages.banner(decision, *where, options=options)
        asked, pieces = plan.questions.get((language, first), (None, []))
        if asked is not decision:
            options = replace(options, first=first)
            pieces = self._pages.banner_parts(decision, *where, options)
            plan.questions[language, first] = decision, pieces
            self._evict_if_full(sum(map(len, pieces)))
        return at, self._pages.make_id().encode().join(pieces)

    def _evict_if_full(self, more: int) -> None:
        """Add to the size of the plans and drop them all if it is too large. Plans in use come back soon."""
        self._bytes += more
        if self._bytes > _MAX_BYTES or len(self.plans) > _MAX_PLANS:
            self.plans, self._bytes = {}, 0
