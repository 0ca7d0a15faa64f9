"""The script at the beginning of pages' heads: it tells vendors' tags what holds, and clears what was refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from markupsafe import escape

from cookie_consent.base.bounds import Cache
from cookie_consent.decision.decision import Decision, refused_in_storage
from cookie_consent.http.csp import TagRules
from cookie_consent.pages.assets import assets, nonce_attribute
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.vendors import VendorMapping

_SCRIPT = "vendors.js"
_MAX_SCRIPTS = 256


class VendorSignals:
    """Makes the script for what holds on a page, and for what is refused there.

    The script is the same for all pages: its tag says whom to tell, of what, and what holds. It is inline, so that no
    page waits for it. Where a page's policies forbid that, it is the file of the same script, which the tags below it
    wait for.

    Args:
        mappings: the vendors of the policy that are told something.
        stored: purpose id -> a pattern of the keys that are stored in browsers for it.
    """

    def __init__(self, mappings: Iterable[VendorMapping], stored: Mapping[str, str]) -> None:
        self._vendors = [_for_script(mapping) for mapping in mappings]
        self._stored = stored
        needed = (need for vendor in self._vendors for need in vendor["signals"].values())
        self._needs = tuple(dict.fromkeys([*filter(None, needed), *stored]))
        self._content = f">{assets()[_SCRIPT].content.decode('ascii')}</script>"
        self._file = f"/assets/{assets()[_SCRIPT].name}"
        self._known = Cache[tuple[object, ...], tuple[bytes, bytes]](_MAX_SCRIPTS)

    def tag(
        self, base: str, decision: Decision, rules: TagRules, *, is_shared: bool = False, has_ended: bool = False
    ) -> bytes:
        """Return the script's tag.

        Args:
            base: the path of the endpoints.
            decision: the decision.
            rules: what the page's policies say of our tags.
            is_shared: whether the page is the same for everybody, so that another script knows what holds.
            has_ended: whether a consent has ended.
        """
        is_inline = rules.inline_script
        holds = [decision.purposes[need] for need in self._needs]
        refused = refused_in_storage(decision, has_ended=has_ended)
        key = (base, is_inline, is_shared, refused, *holds)
        parts = self._known.get(key)
        if parts is None:
            more: dict[str, object] = {"stored": self._stored, "refused": refused} if self._stored else {}
            more |= {"shared": True} if is_shared else {}
            parts = self._parts(base, holds, more, is_inline=is_inline)
            self._known.keep(key, parts, len(base))
        return nonce_attribute(rules.script_nonce).encode().join(parts)

    def _parts(
        self, base: str, holds: Iterable[bool], more: Mapping[str, object], *, is_inline: bool
    ) -> tuple[bytes, bytes]:
        """Return the tag in two pieces, between which the nonce goes."""
        page = {
            "state": f"{base}/state",
            "holds": dict(zip(self._needs, holds, strict=True)),
            "vendors": self._vendors,
            **more,
        }
        # Quotes are the most frequent character in it, so that the attribute is in the other ones.
        data = json.dumps(page, separators=(",", ":")).replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
        ended = self._content if is_inline else f' src="{escape(base)}{self._file}"></script>'
        return f"<script data-vendors='{data}'".encode("ascii"), ended.encode("ascii", "xmlcharrefreplace")


# By the identity of the policy, of which there are few.
@lru_cache(maxsize=64)
def vendor_signals(policy: Policy) -> VendorSignals | None:
    """Return what makes the script of a policy; None if there is nobody to tell, and nothing to clear."""
    told = [mapping for mapping in policy.vendors if not mapping.vendor.gate_only]
    stored = policy.stored
    return VendorSignals(told, stored) if told or stored else None


def _for_script(mapping: VendorMapping) -> dict[str, Any]:
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
