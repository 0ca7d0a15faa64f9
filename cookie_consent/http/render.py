"""Renders what is inserted into a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from cookie_consent.base.bounds import Cache
from cookie_consent.decision.decision import Decision, deny_optional, refused_in_storage
from cookie_consent.http.csp import NO_RULES, TagRules, read_rules
from cookie_consent.http.insert import Pieces, Places
from cookie_consent.http.plan import Insert
from cookie_consent.http.request_consent import RequestConsent, own_path
from cookie_consent.pages.assets import assets, link_styles, nonce_attribute, script_tag, write_styles
from cookie_consent.pages.context import QuestionOptions, fill_marks, list_values
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.vendors import VendorMapping

if TYPE_CHECKING:
    from cookie_consent.http.site import Site

_SCRIPT_NONCE = "\0script_nonce\0"
_STYLE_NONCE = "\0style_nonce\0"
"""Marks for the nonces, which are others in each response."""
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
    if not (insert.asks or insert.link or insert.says_saved):
        return Pieces(head, b"", b"", b""), language
    next_path = own_path(scope, has_query=not site.is_shared)
    where = (base, language, next_path, insert.encoding)
    marked = find_pieces(insert, mark_nonces(rules, places), decision, where, site, reloads=consent.reloads)
    values = list_values(
        decision,
        base,
        next_path,
        form_id=site.pages.make_id() if insert.asks and not site.is_shared else "",
        first=insert.first,
        came_from=insert.came_from,
    )
    values[b"script_nonce"] = rules.script_nonce.encode()
    values[b"style_nonce"] = rules.style_nonce.encode()
    style = fill_marks(marked[0], values)
    question = fill_marks(marked[1], values)
    link = fill_marks(marked[2], values) + site.foreign_hosts.console_line(scope, rules)
    return Pieces(head, style, question, link), language


def mark_nonces(rules: TagRules, places: Places) -> TagRules:
    """Return the rules with marks in place of the nonces, after the policies in the head of the page."""
    if rules.script_nonce:
        rules = rules._replace(script_nonce=_SCRIPT_NONCE)
    if rules.style_nonce:
        rules = rules._replace(style_nonce=_STYLE_NONCE)
    return rules.only_files() if places.has_policy else rules


def find_pieces(
    insert: Insert, rules: TagRules, decision: Decision, where: Where, site: Site, *, reloads: bool
) -> Sequence[list[bytes]]:
    """Return the style, the question and the link of a page, split at their marks; see `make_pieces`.

    They are kept for all who see them, but for a long path of the endpoints: a mount path can come from the client.
    """
    base, language, next_path, encoding = where
    record = decision.record
    # Whether the policy has changed depends on which purposes the answer named.
    answered = None if record is None else tuple(record.answers)
    says = (decision.policy, decision.status, decision.outcome, decision.news, decision.honours_gpc, decision.signals)
    shows = (insert.asks, insert.link, insert.says_saved, rules, reloads, base, language, bool(next_path), encoding)
    key = (shows, says, answered, *decision.reasons.values())
    marked = site.pieces_kept.get(key)
    if marked is None:
        pieces = make_pieces(insert, rules, decision, where, site, reloads=reloads)
        marked = site.pieces_kept.keep(key, [piece.split(b"\0") for piece in pieces], len(base))
    return marked


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
    if insert.asks or insert.says_saved:
        styles.append("choices.css")
    if insert.asks:
        options = QuestionOptions(reloads=reloads, shared=site.shared_cookie, asks_first=site.asks_first)
        script = script_tag(base, rules.script_nonce, "shared.js" if site.is_shared else "choices.js")
        question = site.pages.mark_banner(decision, *where, options=options)
        question += script.encode("ascii", "xmlcharrefreplace")
    if insert.says_saved:
        question += site.pages.mark_saved(decision, *where)
    if insert.link:
        styles.append("link.css")
        link = site.pages.mark_footer(decision, *where, link=site.settings_link, wherever=site.is_shared)
    style = write_styles(rules.style_nonce, styles)
    if not rules.inline_style:
        style = link_styles(base, rules.style_nonce, styles)
    return style.encode("ascii", "xmlcharrefreplace"), question, link


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
