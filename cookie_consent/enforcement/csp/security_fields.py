"""The header fields that limit what a browser does with a response: Content-Security-Policy above all."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from cookie_consent.base.caching import Headers
from cookie_consent.base.first_seen import FirstSeen
from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.base.random_ids import RandomIds
from cookie_consent.decision.decision import Decision
from cookie_consent.enforcement.csp import connections
from cookie_consent.enforcement.csp.advice import advice, advice_for_app
from cookie_consent.enforcement.csp.connections import Connections
from cookie_consent.enforcement.csp.content import Content, content_of, kind_of
from cookie_consent.enforcement.csp.edits import Edits
from cookie_consent.enforcement.csp.modes import EDIT, ENFORCE, REPORT, checked_mode, has_directives
from cookie_consent.enforcement.csp.own_policy import OwnPolicy, endpoints_field, with_reports
from cookie_consent.enforcement.csp.parsing import ENFORCED, REPORTED, has_policy
from cookie_consent.enforcement.csp.recipients import Sources, edited_field, recipient_sources, with_recipients
from cookie_consent.enforcement.csp.secured import Asked, Secured
from cookie_consent.enforcement.csp.tags import allows_own_script, is_plain, with_nonce
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.security import SecurityRules
from cookie_consent.visitors.csp_reports import PATH as REPORTS

_MAX_KEPT = 512
_MAX_SAID = 10
_log = logging.getLogger("cookie_consent")
_OF_ONE_VERSION = (b"etag", b"last-modified")
_NEED_CARE = frozenset((b"set-cookie", b"content-type", ENFORCED, REPORTED))
"""Fields that need care, but for the first Content-Type and a plain policy."""
_SIZES_TO_READ = frozenset(map(len, _NEED_CARE))
_LONGEST_POLICY = 4096
"""Bytes. What is made of longer policies of the app is not kept."""
_NOBODY = frozenset[str]()
PageKey = tuple[Any, ...]
"""Policy, refused recipients, whether over https, the app's policy for browsers or b"", and the allowed purposes."""
PageFields = tuple[bytes, Headers, bool]
"""The app's policy, edited; the fields to add; whether a policy withholds origins."""
_FURTHER = frozenset(
    (b"permissions-policy", b"referrer-policy", b"x-dns-prefetch-control", connections.ENFORCED, connections.REPORTED)
)
_NOTHING_ALLOWED = {NECESSARY: True}
_IN_PATH = "/%:@!$&'()*+=~"
"""Characters that a path may have in both Content-Security-Policy and Reporting-Endpoints."""


class SecurityFields:
    """Edits the app's Content-Security-Policies, and adds this and other fields where the app sends none.

    Args:
        policy: the site's policy.
        mode: what is done about Content-Security-Policies; see `modes`.

    Attributes:
        edits: whether an enforced policy differs with the allowed recipients.
        differs: whether an enforced policy does, or one that is only tried. Then a page that a grant changes is loaded
            again; else browsers would report what the grant allows.
        told_to_apps: what a `RequestConsent` needs to know: what makes a nonce, or None if no policy of ours names one;
            whether our script needs one; and `differs`.
    """

    def __init__(self, policy: Policy, mode: str) -> None:
        self.differs = mode in (EDIT, ENFORCE, REPORT) and has_directives(policy)
        self.edits = self.differs and mode != REPORT
        self._tries = mode == REPORT
        self._own = OwnPolicy(policy.security.content_security_policy) if mode in (ENFORCE, REPORT) else None
        self._further = _further_fields(policy.security, enforces=mode == ENFORCE)
        allowlist = policy.security.connection_allowlist
        self._connections = None if allowlist is None else Connections(allowlist, tries=self._tries)
        self._adds = self._own is not None or bool(self._further)
        # By the identity of the sources, which the values keep alive.
        self._kept: dict[tuple[int, str, bool], tuple[Sources, Headers]] = {}
        self._kept_sources: dict[tuple[object, ...], Sources] = {}
        self._pages: dict[PageKey, PageFields] = {}
        self._kinds: dict[bytes, Content] = {}
        self._recipients, self._said = policy.recipients, FirstSeen(_MAX_SAID)
        self._edit = Edits(self._advise)
        self._new_nonce = RandomIds()
        self._needs_nonce = self._own is not None and not allows_own_script([self._own.text], "")
        self.told_to_apps = None if self._own is None else self._new_nonce, self._needs_nonce, self.differs

    def secure(self, headers: Headers, status: int, decision: Decision, asked: Asked) -> Secured:
        """Return the header fields of a response with those that limit the browser.

        A page's policy names the recipients that the visitor allows. Whatever else a browser takes a policy from gets
        that of a visitor who allowed nothing, so that caches may keep it for all.

        Args:
            headers: the header fields of the app's response.
            status: the status code.
            decision: the decision.
            asked: what counts of the request.
        """
        made = Secured(headers)
        if self.edits and has_policy(headers):
            made.headers, made.withholds = self.edited(headers, decision, asked.shown)
            made.depends = True
        if not self._adds:
            return made
        content = content_of(status, headers, accepts_pages=asked.accepts_pages)
        if content is not Content.INERT:
            self._add(made, decision if content is Content.PAGE else None, decision.policy, asked)
        nonce = asked.nonce
        if self._needs_nonce and not nonce and asked.asks and content is Content.PAGE and not _has_enforced(headers):
            nonce = self._new_nonce()
        if nonce:
            made.headers = _with_nonce(made.headers, nonce)
        return made

    def edited(self, headers: Headers, decision: Decision, shown: frozenset[str]) -> tuple[Headers, bool]:
        """Return header fields whose enforced policies suit a decision, and whether these withhold origins.

        Args:
            headers: the fields.
            decision: the decision.
            shown: see `Asked`.
        """
        sources = self._sources(decision, shown)
        if self._connections is not None:
            headers = self._connections.renewed(headers, sources)
        return with_recipients(headers, sources, self._edit) if self.edits else (headers, False)

    def quick_content(self, headers: Headers) -> Content | None:
        """Return what a browser makes of a response that may take the quick way; None if it needs care.

        Args:
            headers: the header fields of the app's response, of any types.
        """
        content: Content | None = None
        has_policy = False
        for name, value in headers:
            if len(name) not in _SIZES_TO_READ:
                continue
            if type(name) is not bytes or type(value) is not bytes:
                return None
            lowered = name.lower()
            if lowered == b"content-type" and content is None:
                content = self._kinds.get(value) or self._keep_kind(value)
            elif name == ENFORCED and not (has_policy or self._tries) and is_plain(value):
                has_policy = True
            elif lowered in _NEED_CARE:
                return None
        return None if has_policy and content is not Content.PAGE else content or Content.ACTIVE

    def of_ordinary_page(
        self, headers: Headers, decision: Decision, prefix: str, *, secure: bool
    ) -> tuple[Headers, bool]:
        """Return the header fields of an ordinary page, and whether an enforced policy withholds origins.

        Args:
            headers: the header fields of the app's response, with names in lowercase.
            decision: the decision.
            prefix: the path of the endpoints.
            secure: whether the request came over https.
        """
        policy, has_further = b"", False
        for name, value in headers:
            if name == ENFORCED:
                policy = value
            elif name in _FURTHER:
                has_further = True
        key = (decision.policy, decision.refused_recipients, secure, policy, *decision.purposes.values())
        edited, added, withholds = self._pages.get(key) or self._page_fields(key, decision, prefix)
        if edited != policy:
            headers = [(name, edited if name == ENFORCED else value) for name, value in headers]
        if has_further:
            present = {name for name, _ in headers}
            added = [field for field in added if field[0] not in present]
        return headers + added, withholds

    def _page_fields(self, key: PageKey, decision: Decision, prefix: str) -> PageFields:
        """Return the app's policy for a decision, the fields to add, and whether a policy withholds origins."""
        _, _, secure, policy, *_ = key
        given = [(ENFORCED, policy)] if policy else []
        headers, withholds = self.edited(given, decision, _NOBODY)
        made = Secured(headers, withholds=withholds and bool(policy))
        self._add(made, decision, decision.policy, Asked(prefix, secure, accepts_pages=True))
        found = made.headers[0][1] if policy else b"", made.headers[len(given) :], made.withholds
        if len(policy) <= _LONGEST_POLICY:
            evict_if_full(self._pages, _MAX_KEPT)
            self._pages[key] = found
        return found

    def _keep_kind(self, content_type: bytes) -> Content:
        kind = kind_of(content_type)
        if len(content_type) <= LONGEST_KEPT:
            evict_if_full(self._kinds, _MAX_KEPT)
            self._kinds[content_type] = kind
        return kind

    def _advise(self, value: bytes) -> None:
        """Log what a policy of the app does not do, each once."""
        for sentence in advice_for_app(value, self._recipients):
            if self._said.is_new(sentence):
                _log.warning("%s", sentence)

    def _sources(self, decision: Decision, shown: frozenset[str]) -> Sources:
        key = (decision.policy, decision.refused_recipients, shown, *decision.purposes.values())
        sources = self._kept_sources.get(key)
        if sources is None:
            evict_if_full(self._kept_sources, _MAX_KEPT)
            sources = recipient_sources(decision.policy, decision.purposes, decision.refused_recipients, shown)
            self._kept_sources[key] = sources
        return sources

    def _add(self, made: Secured, decision: Decision | None, policy: Policy, asked: Asked) -> None:
        """Add what the app does not send.

        Args:
            made: the response.
            decision: the decision; None if nothing counts as allowed.
            policy: the policy that applies here.
            asked: what counts of the request.
        """
        present = {name.lower() for name, _ in made.headers}
        added = [field for field in self._further if field[0] not in present]
        if self._own is not None:
            sources = (
                recipient_sources(policy, _NOTHING_ALLOWED)
                if decision is None
                else self._sources(decision, asked.shown)
            )
            made.depends |= bool(sources) and decision is not None
            if self._connections is not None and self._connections.name not in present:
                added.append(self._connections.field(sources))
            if ENFORCED in present:
                differing = self._trial(made.headers, sources, asked)
            else:
                differing = self._own_fields(self._own, sources, asked)
            added += differing
            made.withholds |= bool(differing) and any(origins.refused for origins in sources.values())
        made.headers = [*made.headers, *added] if added else made.headers

    def _own_fields(self, own: OwnPolicy, sources: Sources, asked: Asked) -> Headers:
        """Return the fields with our own policy, which are made once for each set of allowed recipients."""
        key = (id(sources), asked.base, asked.secure)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        reports = _reports(asked)
        value = own.value(sources, reports, secure=asked.secure)
        fields = [(REPORTED if self._tries else ENFORCED, value)]
        if asked.secure and own.reports_here:
            fields.append(endpoints_field(reports))
        evict_if_full(self._kept, _MAX_KEPT)
        self._kept[key] = sources, fields
        return fields

    def _trial(self, headers: Headers, sources: Sources, asked: Asked) -> Headers:
        """Return report-only copies of the app's policies, edited; none where an edit would change nothing."""
        if not self._tries:
            return []
        values = [value for name, value in headers if name.lower() == ENFORCED]
        changed = [edited for value in values if (edited := edited_field(value, sources)[0]) != value]
        reports = _reports(asked)
        fields = [(REPORTED, with_reports(value, reports, secure=asked.secure)) for value in changed]
        return [*fields, endpoints_field(reports)] if fields and asked.secure else fields


def security_fields(policy: Policy, csp: Any, *, edit_csp: Any = False) -> SecurityFields | None:
    """Return what adds and edits the fields of a site, by the middleware's options; None if there is nothing to do.

    Raises:
        ValueError: an option is invalid; see `checked_mode`.
    """
    rules, mode = policy.security, checked_mode(csp, policy, edit_csp=edit_csp)
    for sentence in advice(policy) if mode in (ENFORCE, REPORT) else ():
        _log.warning("%s", sentence)
    is_used = mode in (ENFORCE, REPORT) or rules.permissions_policy or rules.referrer_policy
    return SecurityFields(policy, mode) if is_used or (mode == EDIT and has_directives(policy)) else None


def _reports(asked: Asked) -> str:
    return quote(asked.base + REPORTS, safe=_IN_PATH)


def _further_fields(rules: SecurityRules, *, enforces: bool) -> Headers:
    """Return the fields that are the same for everybody."""
    texts = {b"permissions-policy": rules.permissions_policy, b"referrer-policy": rules.referrer_policy}
    fields = [(name, text.encode()) for name, text in texts.items() if text]
    # No Content-Security-Policy stops a browser from looking up the names of hosts that a page links to.
    return [*fields, (b"x-dns-prefetch-control", b"off")] if enforces else fields


def _has_enforced(headers: Headers) -> bool:
    return any(name.lower() == ENFORCED for name, _ in headers)


def _with_nonce(headers: Headers, nonce: str) -> Headers:
    """Return the fields of a page with a nonce of ours.

    It loses its validators: a 304 would bring a new policy for the stored page, which has the old nonce.
    """
    return [
        (name, with_nonce(value, nonce) if name.lower() in (ENFORCED, REPORTED) else value)
        for name, value in headers
        if name.lower() not in _OF_ONE_VERSION
    ]
