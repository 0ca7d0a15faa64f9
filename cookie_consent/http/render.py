"""Renders what is inserted into a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cookie_consent.decision.decision import Decision, without_optional
from cookie_consent.http.insert import Pieces, Places
from cookie_consent.http.plan import Insert
from cookie_consent.http.request_consent import RequestConsent, own_path
from cookie_consent.http.tags import NO_RULES, TagRules, rules_in
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.pages.tags import stylesheet_at_end

if TYPE_CHECKING:
    from cookie_consent.http.site import Site

_FORM_ID = b"\0"
_SCRIPT_NONCE = "nonce/of/scripts"
_STYLE_NONCE = "nonce/of/styles"
"""Marks in the kept markup for the nonces, which are others in each response."""
Where = tuple[str, str, str, str]
"""The address of the endpoints, the language, the path of the page, its encoding."""


def render(
    insert: Insert, places: Places, decision: Decision, consent: RequestConsent, scope: Mapping[str, Any], site: Site
) -> tuple[Pieces, str]:
    """Return the markup of a page and its language.

    Args:
        insert: what the page gets.
        places: what its first bytes tell.
        decision: the decision.
        consent: the decision as the app sees it.
        scope: the ASGI scope of the request.
        site: the site.
    """
    rules = read_rules(insert)
    head = make_head(insert, decision, consent.base, rules, site)
    language = consent.language_of_page(places.language, is_shared=site.is_shared)
    if not (insert.asks or insert.link or insert.message):
        return Pieces(head, b"", b"", b""), language
    pieces = find_pieces(insert, mark_nonces(rules, places), decision, consent, scope, site, language)
    question = pieces.question
    link = pieces.link
    if insert.asks:
        form_id = "" if site.is_shared else site.pages.make_id()
        question = question.replace(_FORM_ID, form_id.encode())
    if rules.script_nonce or rules.style_nonce:
        question = put_nonces(question, rules)
        link = put_nonces(link, rules)
    return Pieces(head, pieces.style, question, link + site.foreign_hosts.console_line(scope, rules)), language


def find_pieces(  # noqa: PLR0913 (all that the markup depends on)
    insert: Insert,
    rules: TagRules,
    decision: Decision,
    consent: RequestConsent,
    scope: Mapping[str, Any],
    site: Site,
    language: str,
) -> Pieces:
    """Return the markup of a page, which is kept if many visitors see the same."""
    # Caches may leave out parts of the query of a shared page. Its script knows it.
    query = b"" if site.is_shared else scope.get("query_string", b"")
    address = (scope["path"], query, scope.get("root_path", ""))
    says = (decision.policy, decision.outcome, decision.news, decision.honours_gpc, decision.signals)
    how = (insert._replace(policies=(), has_ended=False), rules, consent.reloads)
    key = (how, language, address, says, *decision.purposes.values())
    pieces = site.pieces_kept.get(key)
    if pieces is None:
        path = own_path({**scope, "query_string": query})
        where = (consent.base, language, path, insert.encoding)
        pieces = make_pieces(insert, rules, decision, where, site, reloads=consent.reloads)
        is_about_answer = (insert.asks or insert.message) and decision.record is not None
        if not is_about_answer and not insert.referrer:
            site.pieces_kept.keep(key, pieces, len(path))
    return pieces


def mark_nonces(rules: TagRules, places: Places) -> TagRules:
    """Return the rules with marks in place of the nonces, after the policies in the head of the page."""
    if rules.script_nonce or rules.style_nonce:
        script_nonce = _SCRIPT_NONCE if rules.script_nonce else ""
        style_nonce = _STYLE_NONCE if rules.style_nonce else ""
        rules = replace(rules, script_nonce=script_nonce, style_nonce=style_nonce)
    if places.question < 0 or places.has_policy:
        return replace(rules.only_files(), own_script=rules.own_script and places.question < 0)
    return rules


def put_nonces(markup: bytes, rules: TagRules) -> bytes:
    """Return markup with the nonces of one response."""
    markup = markup.replace(_SCRIPT_NONCE.encode(), rules.script_nonce.encode())
    return markup.replace(_STYLE_NONCE.encode(), rules.style_nonce.encode())


def read_rules(insert: Insert) -> TagRules:
    """Return what the policies in a page's header fields say of our tags."""
    rules = rules_in(b",".join(insert.policies)) if insert.policies else NO_RULES
    return rules if insert.may_inline else rules.only_files()


def make_head(insert: Insert, decision: Decision, base: str, rules: TagRules, site: Site) -> bytes:
    """Return what is first in the head: what vendors' tags are told."""
    if site.vendor_signals is None:
        return b""
    if site.is_shared:
        return site.vendor_signals.tag(base, without_optional(decision), rules, is_shared=True)
    return site.vendor_signals.tag(base, decision, rules, has_ended=insert.has_ended)


def make_pieces(
    insert: Insert, rules: TagRules, decision: Decision, where: Where, site: Site, *, reloads: bool
) -> Pieces:
    """Render the markup of a page, with a mark for the id of the question's form."""
    base = where[0]
    question = b""
    if insert.asks:
        may_import = rules.inline_style and rules.inline_script and not site.is_shared
        options = QuestionOptions(
            rules.script_nonce,
            rules.style_nonce,
            reloads=reloads,
            referrer=insert.referrer,
            first=insert.first,
            shared=site.shared_cookie,
            asks_first=site.asks_first,
            style="inline" if rules.inline_style else "deferred",
            script="late" if may_import and not site.pages.needs_script_early else "early",
        )
        question = _FORM_ID.join(site.pages.banner_parts(decision, *where, options))
    if insert.message:
        brings = not insert.asks and rules.inline_style
        style = QuestionOptions(style_nonce=rules.style_nonce, style="inline" if brings else "apart")
        question += site.pages.saved(decision, *where, options=style)
    link = b""
    if (insert.asks or insert.message) and not rules.inline_style:
        has_script = insert.asks and rules.own_script
        link = stylesheet_at_end(base, rules.style_nonce, has_script=has_script).encode()
    if insert.link:
        nonce = rules.style_nonce if rules.inline_style else None
        shows_link = site.settings_link
        link += site.pages.footer(decision, *where, link=shows_link, style_nonce=nonce, wherever=site.is_shared)
    return Pieces(b"", b"", question, link)
