"""The page on the middleware's own cookies, from the list that the settings page shows to visitors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from cookie_consent.decision.cookie_settings import CookieSettings, consent_lifetime, new_id, visitor_lifetime
from cookie_consent.decision.decision import decide
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import HTTP, HTTPS, Place
from cookie_consent.policy.parts import Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import written_duration
from cookie_consent.visitors.cookie_list import CookieList
from tests.support.policies import KEY, granting_record, policy_of
from tests.support.reference.example import changed
from tests.support.reference.http import PREFIX
from tests.support.reference.markdown import code, joined, link, sentence, table

_TITLE = """\
# Cookies of our own

Every cookie that the middleware itself sets, with its name, its lifetime and what it is for. They need no line in the
policy file and, but for the visitor id, no consent. The settings page lists them."""
_ONLY_WITH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("`access_log=`", {"has_log": True}),
    ('`later="ask"`', {"postpones": True}),
    ("`shared_pages=True`", {"tells_state": True}),
)
"""Option -> what it sets of the list."""
_NOTHING = dict.fromkeys(("has_log", "postpones", "tells_state"), False)
_PREFIX = re.compile("^__(?:Host|Secure)-")
_OF_RECORDS = "visitor-erasure"
"""The cookie that lives as long as the access records that it erases, which the policy file says."""


def page() -> str:
    policy = policy_of(changed({}))
    always = {cookie.name for cookie in _list(policy, HTTPS, _NOTHING)}
    needed = {
        cookie.name: option
        for option, flags in _ONLY_WITH
        for cookie in _list(policy, HTTPS, _NOTHING | flags)
        if cookie.name not in always
    }
    rows = [(*_row(cookie), needed.get(cookie.name, "–")) for cookie in _everything(policy, HTTPS)]
    return joined(
        _TITLE,
        table(("over https", "over http", "lifetime", "purpose", "path", "what visitors read", "only with"), rows),
        f"- All are `SameSite=Lax`; over https, all are `Secure`. All but {_for_scripts(policy)} are `HttpOnly`.\n"
        "- `consent` and `visitor` are the names unless you set [`consent_cookie`](options.md#consent_cookie) and "
        "[`visitor_cookie`](options.md#visitor_cookie). All other names begin with these.\n"
        f"- Where {link('hosts share an answer', 'subdomains.md')}, the cookies have their `Domain`, and the prefix "
        "`__Secure-` in place of `__Host-`. Those that serve only the next page stay as they are.\n"
        "- [`consent_days`](options.md#consent_days) and [`visitor_days`](options.md#visitor_days) set the lifetimes.\n"
        "- Access records are kept for the shortest [`retention`](policy-file.md#purposesid) of a purpose that traces."
        f" `{_OF_RECORDS}` goes with them, after 400 days at most.",
        f"Read on: {link('what is in the consent cookie', '001-the-consent-cookie-is-readable-text.md')}.",
    )


def _everything(policy: Policy, place: Place) -> tuple[Cookie, ...]:
    return _list(policy, place, dict.fromkeys(_NOTHING, True))


def _list(policy: Policy, place: Place, flags: dict[str, Any]) -> tuple[Cookie, ...]:
    """Return the cookies of a site with some of the options."""
    of_list = {name: value for name, value in flags.items() if name != "tells_state"}
    own_cookies = _own_cookies(policy, tells_state=flags["tells_state"])
    return CookieList(own_cookies, **of_list).under(policy, base=PREFIX, place=place)


def _own_cookies(policy: Policy, *, tells_state: bool) -> OwnCookies:
    settings = CookieSettings(
        KEY,
        consent_name="consent",
        visitor_name="visitor",
        consent_lifetime=consent_lifetime(None, policy),
        visitor_lifetime=visitor_lifetime(395),
        make_id=new_id,
        domain=policy.site.domain,
        hosts=policy.site.hosts,
        tells_state=tells_state,
    )
    return OwnCookies(settings, (policy,))


def _row(cookie: Cookie) -> tuple[str, ...]:
    over_http = _PREFIX.sub("", cookie.name)
    lifetime = "as long as access records are kept" if over_http == _OF_RECORDS else _written(cookie.duration)
    purpose = code(cookie.purpose) if cookie.purpose == "necessary" else "each that traces"
    words = sentence(str(cookie.description["en"]))
    return code(cookie.name), code(over_http), lifetime, purpose, code(cookie.path), words


def _written(duration: timedelta | None) -> str:
    return "the browser session" if duration is None else written_duration(duration.total_seconds())


def _for_scripts(policy: Policy) -> str:
    """Return the one cookie that scripts may read."""
    own_cookies, record = _own_cookies(policy, tells_state=True), granting_record(policy)
    assert own_cookies.state is not None
    decision = decide(policy, record, frozenset(), record.decided_at)
    (field,) = own_cookies.state.fields(decision, b"", record.decided_at, place=HTTP)
    assert b"HttpOnly" not in field
    return code(field.partition(b"=")[0].decode())
