"""Content-Security-Policies: the one of ours beside those of the app, and what the app's say of our tags.

Browsers obey every policy (CSP Level 3, section 8.1). So ours holds whatever the app sends, which is never changed.
Section numbers refer to CSP Level 3, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cookie_consent.base.bounds import Cache
from cookie_consent.base.cookies import Headers
from cookie_consent.base.messages import check
from cookie_consent.decision.decision import Decision
from cookie_consent.policy.parts import NECESSARY, Recipient
from cookie_consent.policy.policy import Policy

ENFORCED = b"content-security-policy"
REPORTED = b"content-security-policy-report-only"
DEFAULT_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
"""What is sent if the policy file has no content_security_policy. Inline code is the app's matter."""
_NEVER_MISSING = ("default-src", "base-uri", "form-action")
"""Directives without which a page reaches anybody. A policy of the site that lacks one gets that of the default."""
_NAMES = {"form-action": ("form-action",), "child": ("frame-src", "worker-src")}
"""A recipient's directive -> its directives in a policy, where these are not just that one and "-src"."""
_FALLBACKS = {
    "frame-src": ("child-src",),
    "worker-src": ("child-src", "script-src"),
    "script-src-elem": ("script-src",),
    "style-src-elem": ("style-src",),
}
"""Directive -> what applies in its place, before default-src (section 6.8.3)."""
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
"""A nonce (section 2.3.1). It is safe in an attribute of HTML."""
_VOIDS_INLINE = re.compile(r"'(?:nonce-|sha\d|strict-dynamic')", re.IGNORECASE)
"""Sources beside which 'unsafe-inline' does not count (section 6.7.3.2)."""

Sources = Mapping[str, Sequence[str]]
"""Directive -> its source expressions."""


class SecurityFields:
    """Makes the header fields that limit what a browser does with a response.

    A Content-Security-Policy that the policy file has is sent without the option, too.

    Args:
        policy: the policy of the site.
        csp: the option of the middleware.

    Attributes:
        is_used: whether there are such fields.
        enforces: whether a Content-Security-Policy is among them.
        everybody: the fields for a visitor who allowed nothing, which are the same for all.
        differs: whether other visitors get others.

    Raises:
        ValueError: the option is invalid.
    """

    def __init__(self, policy: Policy, csp: Any) -> None:
        remedy = 'Write None or "enforce", which sends a policy of ours beside those of the app and changes none.'
        check("csp", csp, is_valid=csp in (None, "enforce"), remedy=remedy)
        rules = policy.security
        further = {b"permissions-policy": rules.permissions_policy, b"referrer-policy": rules.referrer_policy}
        self._unless_sent = [(name, text.encode()) for name, text in further.items() if text]
        self.enforces = csp is not None or bool(rules.content_security_policy)
        self.is_used = self.enforces or bool(self._unless_sent)
        self._sources = read_policy(rules.content_security_policy) if self.enforces else {}
        self.differs = self.enforces and any(it.directives for it in policy.recipients if it.purpose != NECESSARY)
        self.everybody = self._make_fields(it for it in policy.recipients if it.purpose == NECESSARY)
        self._kept = Cache[tuple[object, ...], Headers](most=512)

    def fields(self, decision: Decision) -> Headers:
        """Return the fields for a page, which name the recipients that the visitor allows."""
        key = (decision.policy, *decision.purposes.values())
        fields = self._kept.get(key)
        if fields is None:
            allowed = (it for it in decision.policy.recipients if decision.purposes[it.purpose])
            fields = self._kept.keep(key, self._make_fields(allowed))
        return fields

    def allows(self, directive: str, host: str) -> bool:
        """Return whether the site's own policy lets everybody's browser load from a host.

        Args:
            directive: as recipients declare it, without "-src".
            host: the host, in lowercase.
        """
        name = _list_names(directive, self._sources)[-1]
        return any(covers(source, host) for source in find_sources(name, self._sources) or ())

    def list_missing(self, found: Container[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields that are only sent where the app sends none, without those that it sends."""
        return tuple([field for field in self._unless_sent if field[0] not in found])

    def _make_fields(self, recipients: Iterable[Recipient]) -> Headers:
        if not self._sources:
            return []
        value = write_policy(self._sources, recipients).encode()
        # No policy stops a browser from looking up the names of hosts that a page links to.
        return [(ENFORCED, value), (b"x-dns-prefetch-control", b"off")]


def read_directives(text: str) -> dict[str, list[str]]:
    """Return the directives of a policy. Of several with a name, the first counts (section 2.2.1)."""
    directives: dict[str, list[str]] = {}
    for part in text.split(";"):
        words = part.split()
        if words:
            directives.setdefault(words[0].lower(), words[1:])
    return directives


def read_policy(text: str) -> Sources:
    """Return the directives of a policy with those that it must not lack; those of the default for "" ."""
    default = read_directives(DEFAULT_POLICY)
    own = read_directives(text) or default
    return own | {name: default[name] for name in _NEVER_MISSING if name not in own}


def write_policy(sources: Sources, recipients: Iterable[Recipient]) -> str:
    """Return a policy as a header field's value, with the origins of recipients in the directives that these name."""
    written = {name: list(words) for name, words in sources.items()}
    for recipient in recipients:
        for directive in recipient.directives:
            for name in _list_names(directive, sources):
                words = written.get(name) or find_sources(name, sources) or ()
                # Browsers ignore 'none' beside others (section 6.7.2.7).
                written[name] = [*(word for word in words if word.lower() != "'none'"), *recipient.origins]
    return "; ".join(" ".join(dict.fromkeys([name, *words])) for name, words in written.items())


def _list_names(directive: str, sources: Sources) -> list[str]:
    """Return the directives of a policy that a recipient's directive stands for."""
    names = _NAMES.get(directive, (f"{directive}-src",))
    return [*names, *(f"{name}-elem" for name in names if f"{name}-elem" in sources)]


def find_sources(name: str, sources: Sources) -> Sequence[str] | None:
    """Return the sources of a directive, or those that apply in its place; None if there are none."""
    for applying in (name, *_FALLBACKS.get(name, ()), "default-src"):
        if applying in sources:
            return sources[applying]
    return None


def covers(source: str, host: str) -> bool:
    """Return whether a source of a policy, or a recipient's origin, is about a host (section 6.7.2)."""
    name = source.lower().rpartition("//")[2].partition("/")[0]
    if name in ("*", "https:", "http:"):
        return True
    name = name.partition(":")[0]
    return name == host or (name.startswith("*.") and host.endswith(name[1:]))


class TagRules(NamedTuple):
    """What a page's policies say of our tags.

    Args:
        script_nonce: the nonce for scripts; "" for none.
        style_nonce: the nonce for stylesheets; "" for none.
        inline_script: whether a script may be in the page.
        inline_style: whether a stylesheet may be.
    """

    script_nonce: str = ""
    style_nonce: str = ""
    inline_script: bool = True
    inline_style: bool = True

    def only_files(self) -> TagRules:
        """Return the rules for a page where nothing of ours may be inline."""
        return self._replace(inline_script=False, inline_style=False)


NO_RULES = TagRules()
"""The rules of a page without a policy."""
_kept_rules = Cache[str, TagRules](256, 4096)


def read_rules(value: bytes) -> TagRules:
    """Return what policies, which commas part, say of our tags. It is kept, but for the nonces: none comes again."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return f"'nonce-{numbers.setdefault(match[1], str(len(numbers)))}'"

    text = _NONCE.sub(number, value.decode("latin-1"))
    rules = _kept_rules.get(text)
    if rules is None:
        rules = _kept_rules.keep(text, _read_rules(text), len(text))
    if not numbers:
        return rules
    nonces = {number: nonce for nonce, number in numbers.items()}
    return rules._replace(
        script_nonce=nonces.get(rules.script_nonce, ""), style_nonce=nonces.get(rules.style_nonce, "")
    )


def _read_rules(text: str) -> TagRules:
    policies = [read_directives(policy) for policy in text.split(",")]
    script_nonce, inline_script = _read_rule(policies, "script-src-elem")
    style_nonce, inline_style = _read_rule(policies, "style-src-elem")
    return TagRules(script_nonce, style_nonce, inline_script, inline_style)


def _read_rule(policies: Iterable[Sources], directive: str) -> tuple[str, bool]:
    """Return the first nonce that policies give to an element, and whether all of them allow an inline one."""
    found = [find_sources(directive, policy) for policy in policies]
    limits = [" ".join(sources) for sources in found if sources is not None]
    nonce = next(iter(_NONCE.findall(" ".join(limits))), "")
    for limit in limits:
        is_open = "'unsafe-inline'" in limit.lower() and _VOIDS_INLINE.search(limit) is None
        if not is_open and not (nonce and nonce in _NONCE.findall(limit)):
            return nonce, False
    return nonce, True
