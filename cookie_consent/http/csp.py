"""The Content-Security-Policy of ours that responses get beside those of the app, which is never changed.

Browsers obey every policy (CSP Level 3, section 8.1). So it holds whatever the app sends, and whatever type it sends.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from starlette.types import Message, Send

from cookie_consent.base.bounds import Cache
from cookie_consent.base.messages import check
from cookie_consent.base.request_fields import Headers
from cookie_consent.decision.decision import Decision
from cookie_consent.http.head import NOT_MODIFIED, plain_fields
from cookie_consent.http.tags import tag_rules
from cookie_consent.policy.parts import NECESSARY, Recipient
from cookie_consent.policy.policy import Policy

ENFORCE = "enforce"
DEFAULT_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
"""What is sent if the policy file has no content_security_policy. Inline code is the app's matter."""
_NEVER_MISSING = ("default-src", "base-uri", "form-action")
"""Directives without which a page reaches anybody. A policy of the site that lacks one gets that of the default."""
_NAMES = {"form-action": ("form-action",), "child": ("frame-src", "worker-src")}
"""A recipient's directive -> its directives in a policy, where these are not just that one and "-src"."""
_FALLBACKS = {"frame-src": ("child-src",), "worker-src": ("child-src", "script-src")}
"""Directive -> what applies in its place, before default-src (section 6.8.3)."""
_PAGE = re.compile(rb"[\t ]*(?:text/html|application/xhtml\+xml)[\t ]*(?:;|$)", re.IGNORECASE)
_MAX_KEPT = 512

Sources = Mapping[str, Sequence[str]]
"""Directive -> its source expressions."""


class SecurityFields:
    """Adds the header fields that limit what a browser does with a response.

    Args:
        policy: the site's policy.
        enforces: whether a Content-Security-Policy is among them.

    Attributes:
        enforces: whether a Content-Security-Policy is among them.
        everybody: the fields for a visitor who allowed nothing, which are the same for all.
        differs: whether other visitors get others.
        tags: what our policy says of our own tags.
    """

    def __init__(self, policy: Policy, *, enforces: bool) -> None:
        rules, optional = policy.security, [it for it in policy.recipients if it.purpose != NECESSARY]
        further = {b"permissions-policy": rules.permissions_policy, b"referrer-policy": rules.referrer_policy}
        self._unless_sent = [(name, text.encode()) for name, text in further.items() if text]
        self.enforces = enforces
        self._sources = read_policy(rules.content_security_policy) if enforces else {}
        self.differs = enforces and any(recipient.directives for recipient in optional)
        self.everybody = self._made_for(recipient for recipient in policy.recipients if recipient not in optional)
        self.tags = tag_rules(self.everybody)
        self._kept = Cache[tuple[object, ...], Headers](_MAX_KEPT)

    def fields(self, decision: Decision) -> Headers:
        """Return the fields for a page, which name the recipients that the visitor allows."""
        if not self.differs:
            return self.everybody
        key = (decision.policy, *decision.purposes.values())
        fields = self._kept.get(key)
        if fields is None:
            fields = self._made_for(it for it in decision.policy.recipients if decision.purposes[it.purpose])
            self._kept.keep(key, fields)
        return fields

    def allows(self, directive: str, host: str) -> bool:
        """Return whether the site's own policy lets everybody's browser load from a host.

        Args:
            directive: as recipients declare it, without "-src".
            host: the host, in lowercase.
        """
        name = _names(directive, self._sources)[-1]
        return any(covers(source, host) for source in _applying(name, self._sources))

    def list_missing(self, found: Container[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields that are only sent where the app sends none, without those that it sends."""
        return tuple([field for field in self._unless_sent if field[0] not in found])

    def add(self, headers: Headers, fields: Headers) -> Headers:
        """Return header fields with those of `fields`, and those that are only sent where the app sends none."""
        if self._unless_sent:
            present = {name.lower() for name, _ in plain_fields(headers)}
            headers = headers + [field for field in self._unless_sent if field[0] not in present]
        return headers + fields

    def around(self, send: Send) -> Send:
        """Return what sends a response with the fields that are the same for everybody."""

        async def send_limited(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                headers = self.add(plain_fields(message.get("headers", ())), self.everybody)
                message = {**message, "headers": headers}
            await send(message)

        return send_limited

    def _made_for(self, recipients: Iterable[Recipient]) -> Headers:
        if not self._sources:
            return []
        value = policy_with(self._sources, recipients).encode()
        # No policy stops a browser from looking up the names of hosts that a page links to.
        return [(b"content-security-policy", value), (b"x-dns-prefetch-control", b"off")]


def security_fields(policy: Policy, csp: Any) -> SecurityFields | None:
    """Return what adds the fields of a site; None if there are none.

    A policy that the policy file has is sent without the option, too.

    Args:
        policy: the site's policy.
        csp: the option of the middleware.

    Raises:
        ValueError: the option is invalid.
    """
    remedy = 'Write None or "enforce", which sends a policy of ours beside those of the app and changes none.'
    check("csp", csp, is_valid=csp is None or csp == ENFORCE, remedy=remedy)
    rules, enforces = policy.security, csp == ENFORCE or bool(policy.security.content_security_policy)
    is_used = enforces or rules.permissions_policy or rules.referrer_policy
    return SecurityFields(policy, enforces=enforces) if is_used else None


def read_policy(text: str) -> Sources:
    """Return the directives of a policy with those that it must not lack; those of the default for "" ."""
    given, default = _directives(text), _directives(DEFAULT_POLICY)
    return given | {name: default[name] for name in _NEVER_MISSING if name not in given} if given else default


def policy_with(sources: Sources, recipients: Iterable[Recipient]) -> str:
    """Return a policy as a header field's value, with the origins of recipients in the directives that these name."""
    made = {name: list(words) for name, words in sources.items()}
    for recipient in recipients:
        for directive in recipient.directives:
            for name in _names(directive, sources):
                words = made.setdefault(name, list(_applying(name, sources)))
                # Browsers ignore 'none' beside others (section 6.7.2.7).
                words[:] = [*(word for word in words if word.lower() != "'none'"), *recipient.origins]
    return "; ".join(" ".join(dict.fromkeys([name, *words])) for name, words in made.items())


def covers(source: str, host: str) -> bool:
    """Return whether a source of a policy, or a recipient's origin, is about a host (CSP Level 3, section 6.7.2)."""
    name = source.lower().rpartition("//")[2].partition("/")[0]
    if name in ("*", "https:", "http:"):
        return True
    name = name.partition(":")[0]
    return name == host or (name.startswith("*.") and host.endswith(name[1:]))


def is_page(status: int, headers: Headers, *, accepts_pages: bool) -> bool:
    """Return whether a response is a page.

    A "not modified" to a request that accepts pages may be about one, whose stored header fields it replaces (RFC 9111,
    section 3.2).
    """
    if status == NOT_MODIFIED:
        return accepts_pages
    return any(_PAGE.match(value) for name, value in headers if len(name) == 12 and name.lower() == b"content-type")


def _directives(text: str) -> dict[str, list[str]]:
    return {words[0].lower(): words[1:] for words in map(str.split, text.split(";")) if words}


def _names(directive: str, sources: Sources) -> list[str]:
    """Return the directives of a policy that a recipient's directive stands for."""
    names = _NAMES.get(directive, (f"{directive}-src",))
    return [*names, *(f"{name}-elem" for name in names if f"{name}-elem" in sources)]


def _applying(name: str, sources: Sources) -> Sequence[str]:
    """Return the sources of a directive, or those that apply in its place."""
    return next(sources[it] for it in (name, *_FALLBACKS.get(name, ()), "default-src") if it in sources)
