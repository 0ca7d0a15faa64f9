"""Renders what is inserted into a page."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from cookie_consent.base.bounds import Cache
from cookie_consent.decision.decision import Decision, deny_optional, refused_in_storage
from cookie_consent.http.csp import NO_RULES, TagRules, read_rules
from cookie_consent.http.insert import Pieces, Places
from cookie_consent.http.plan import Insert
from cookie_consent.http.request_consent import RequestConsent, own_path
from cookie_consent.pages.assets import assets, link_styles, nonce_attribute, script_tag, write_styles
from cookie_consent.pages.context import QuestionOptions, list_values, make_template
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.vendors import VendorMapping

if TYPE_CHECKING:
    from cookie_consent.http.site import Site

_MARKED_RULES = {
    (has_script_nonce, has_style_nonce, inline_style): TagRules(
        "\0script_nonce\0" * has_script_nonce, "\0style_nonce\0" * has_style_nonce, inline_style=inline_style
    )
    for has_script_nonce, has_style_nonce, inline_style in itertools.product((False, True), repeat=3)
}
"""Whether a page has nonces for scripts and styles, and may have ours inline -> the rules, with marks for nonces."""
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
    rules = NO_RULES
    if insert.policies:
        rules = read_rules(b",".join(insert.policies))
        if not insert.may_inline:
            rules = rules.only_files()
    base = consent.base
    head = b""
    if site.tells_vendors:
        known = deny_optional(decision) if site.is_shared else decision
        head = tell_vendors(base, known, rules, is_shared=site.is_shared, has_ended=insert.has_ended)
    language = consent.language_of_page(places.language, is_shared=site.is_shared)
    if not (insert.asks or insert.link or insert.saved):
        return Pieces(head, b"", b"", b""), language
    next_path = own_path(scope, has_query=not site.is_shared)
    where = (base, language, next_path, insert.encoding)
    may_inline = rules.inline_style and not places.has_policy
    marked_rules = _MARKED_RULES[bool(rules.script_nonce), bool(rules.style_nonce), may_inline]
    style, question, link = find_pieces(insert, marked_rules, decision, where, site, reloads=consent.reloads)
    form_id = site.pages.make_id() if insert.asks and not site.is_shared else ""
    values = list_values(decision, base, next_path, form_id=form_id, first=insert.first, came_from=insert.came_from)
    if insert.policies:
        values[b"script_nonce"] = rules.script_nonce.encode()
        values[b"style_nonce"] = rules.style_nonce.encode()
    return Pieces(head, style % values, question % values, link % values), language


def find_pieces(
    insert: Insert, rules: TagRules, decision: Decision, where: Where, site: Site, *, reloads: bool
) -> tuple[bytes, bytes, bytes]:
    """Return the style, the question and the link of a page, with marks; see `make_pieces`.

    They are kept for all who see them, but for a long path of the endpoints: a mount path can come from the client.
    """
    base, language, next_path, encoding = where
    record = decision.record
    # Whether the policy has changed depends on which purposes the answer named.
    answered = None if record is None else tuple(record.answers)
    says = (decision.policy, decision.status, decision.outcome, decision.news, decision.honours_gpc, decision.signals)
    shows = (insert.asks, insert.link, insert.saved, rules, reloads, base, language, bool(next_path), encoding)
    key = (shows, says, answered, *decision.reasons.values())
    pieces = site.pieces_kept.get(key)
    if pieces is None:
        pieces = make_pieces(insert, rules, decision, where, site, reloads=reloads)
        site.pieces_kept.keep(key, pieces, len(base))
    return pieces


def make_pieces(
    insert: Insert, rules: TagRules, decision: Decision, where: Where, site: Site, *, reloads: bool
) -> tuple[bytes, bytes, bytes]:
    """Return the style, the question and the link of a page, with marks.

    Args:
        insert: what the page gets.
        rules: what its policies say of our tags, with marks for the nonces.
        decision: the decision.
        where: where the page is.
        site: the site.
        reloads: whether the page has to be loaded again after a grant.
    """
    base = where[0]
    styles: list[str] = []
    question = b""
    link = b""
    if insert.asks or insert.saved:
        styles.append("choices.css")
    if insert.asks:
        options = QuestionOptions(reloads=reloads, shared=site.shared_cookie, asks_first=site.asks_first)
        script = script_tag(base, rules.script_nonce, "shared.js" if site.is_shared else "choices.js")
        question = site.pages.mark_banner(decision, *where, options=options)
        question += make_template(script)
    if insert.saved:
        question += site.pages.mark("saved.html", decision, *where, saved=insert.saved)
    if insert.link:
        styles.append("link.css")
        link = site.pages.mark_footer(decision, *where, link=site.settings_link, wherever=site.is_shared)
    style = write_styles(rules.style_nonce, styles)
    if not rules.inline_style:
        style = link_styles(base, rules.style_nonce, styles)
    return make_template(style), question, link


def tell_vendors(
    base: str, decision: Decision, rules: TagRules, *, is_shared: bool = False, has_ended: bool = False
) -> bytes:
    """Return the script that is first in the head. It tells vendors' tags what is allowed, and clears what is refused.

    The script is the same for all pages: its tag says whom to tell, of what, and what is allowed. It is inline, so that
    no page waits for it. Where a page's policies forbid that, it is the file of the same script.

    Args:
        base: the path of the endpoints.
        decision: the decision.
        rules: what the page's policies say of our tags.
        is_shared: whether the page is the same for everybody, so that another script knows what is allowed.
        has_ended: whether a consent has ended.
    """
    purposes = tuple(decision.purposes.items())
    refused = refused_in_storage(decision, has_ended=has_ended)
    key = (decision.policy, base, purposes, refused, rules.inline_script, is_shared)
    parts = kept_scripts.get(key) or kept_scripts.keep(key, make_vendor_script(*key), len(base))
    return nonce_attribute(rules.script_nonce).encode().join(parts)


kept_scripts = Cache[tuple[object, ...], tuple[bytes, bytes]](256)


def make_vendor_script(
    policy: Policy,
    base: str,
    purposes: tuple[tuple[str, bool], ...],
    refused: tuple[str, ...],
    is_inline: bool,
    is_shared: bool,
) -> tuple[bytes, bytes]:
    """Return the script in two pieces, between which the nonce goes."""
    vendors = [_describe_vendor(mapping) for mapping in policy.vendors if not mapping.vendor.gate_only]
    needs = [need for vendor in vendors for need in vendor["signals"].values() if need]
    decided = dict(purposes)
    allowed = {need: decided[need] for need in (*needs, *policy.stored)}
    page: dict[str, object] = {"state": f"{base}/state", "holds": allowed, "vendors": vendors}
    if policy.stored:
        page |= {"stored": policy.stored, "refused": refused}
    if is_shared:
        page["shared"] = True
    # Quotes are the most frequent character in it, so that the attribute is in the other ones.
    data = json.dumps(page, separators=(",", ":")).replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
    script = assets()["vendors.js"]
    end = f' src="{escape(base)}/assets/{script.name}"></script>'
    if is_inline:
        end = f">{script.content.decode()}</script>"
    return f"<script data-vendors='{data}'".encode("ascii"), end.encode("ascii", "xmlcharrefreplace")


def _describe_vendor(mapping: VendorMapping) -> dict[str, Any]:
    """Return what the script has to know of a vendor; see `Vendor` in static/vendors.js."""
    vendor, options = mapping.vendor, mapping.options
    default = {when: [*calls] for when, calls in vendor.default.items() if when != "if_option"}
    for option, calls in vendor.default.get("if_option", {}).items():
        if options.get(option):
            default["always"] += calls
    # What no purpose is named for is denied.
    waits = {name: options[name] for name, kind in vendor.options.items() if kind == "milliseconds" and name in options}
    return {
        "stub": vendor.stub,
        "signals": dict.fromkeys(vendor.signals, "") | dict(mapping.purposes),
        "values": vendor.values,
        "default": default,
        "update": vendor.update,
        **({"more": waits} if waits else {}),
    }
