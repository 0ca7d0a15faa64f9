"""Wrong policy files: for each error that a file can have, a change of the file with every table.

A test holds that no error of the code is missing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cookie_consent import PolicyError
from cookie_consent.policy.errors import raise_all
from cookie_consent.policy.in_force import errors_in_force
from tests.support.policies import policy_of, toml_inline
from tests.support.reference.example import REMOVED, changed, in_another_language
from tests.support.reference.markdown import code, table

Wrong = Mapping[str, Any]
"""What `example.changed` takes; its first change is what the page shows. "" is what it shows instead."""

_ADS, _AD, _ADNET, _HELP = "purposes ads", "cookies 0", "recipients 0", "services help"
_BIDDER = {"name": "Bidder", "purpose": "ads", "receives": {"en": "IP address"}}
_PLAIN = {"title": {"en": "…"}, "description": {"en": "…"}}
_LONGEST = 230
"""Longer messages are cut."""

WRONG_KINDS: Sequence[Wrong] = (
    {"site name": 7},
    {"site languages": "en"},
    {f"{_ADS} traces": "yes"},
    {f"{_ADS} title": "Advertising"},
    {f"{_ADS} retention": "13 mo"},
    {"site updated": "2026-11-01"},
    {"site regimes": "jp"},
)
"""Values of the wrong kind, which any key may have."""

WRONG_PLACES: Sequence[Wrong] = (
    {f"{_ADS} titel": "…"},
    {f"{_ADS} title": REMOVED, "": "no `title`"},
    {"cokies": [], "": "`[[cokies]]`"},
    {"site": REMOVED, "": "no `[site]`"},
    {"records": "…", "": '`records = "…"`'},
    {"cookies": {"name": "_ad"}, "": "`[cookies]`"},
    {"purposes": [], "": "`[[purposes]]`"},
    {"imports klaro": {}, "": "`[imports]`, which is gone"},
    {"features map": [{}], "": "`[[features.map]]`"},
    {f"{_ADS} title": {"en": ""}},
    {f"{_ADS} title": {"en": "Ads", "de": "Werbung"}},
)
"""What can be wrong in any table."""

WRONG: Mapping[str, Sequence[Wrong]] = {
    "[site]": (
        {"site name": " "},
        {"site languages": ["en", "english!"]},
        {"site languages": ["en", "en"]},
        {"site languages": ["EN"]},
        {"site prevailing_language": "ja"},
        {"site policy_url": "terms.html"},
        {"site hosts": []},
        {"site hosts": ["https://shop.example"]},
        {"site hosts": ["localhost"]},
        {"site hosts": ["shop.example", "shop.example"]},
        {"site hosts": ["shop.example", "other.example"]},
        {"site hosts": [f"{'x' * 60}{number}.shop.example" for number in range(5)], "": "`hosts` with long names"},
        {"site domain": REMOVED, "": "`hosts` without `domain`"},
        {"site regions": ["US"]},
        {"site time_zone": "Japan/Tokyo"},
        {"site regime": "us"},
        {"site regimes": {"UK": "uk"}, "site regime": "eu"},
        {"site regimes": {"US": "us-optout"}},
        {"site regime": "jp", "": '`regime = "jp"`, and no Japanese'},
        {
            **in_another_language("ja"),
            "site regime": "jp",
            f"{_ADNET} use": REMOVED,
            "": '`regime = "jp"`, and a recipient without `use`',
        },
        {**in_another_language("eo"), "texts": {}, "": "a language that does not ship, without texts"},
    ),
    "[site.authority]": ({"site authority url": "authority.example"},),
    "[purposes.ID]": (
        {"purposes Ads": _PLAIN, "": "`[purposes.Ads]`"},
        {f"purposes {'a' * 28}": _PLAIN, "": "an id of 28 characters"},
        {"purposes": {f"p{number}": _PLAIN for number in range(33)}, "": "33 purposes"},
        {f"{_ADS} choice": "all"},
        {"purposes necessary": {**_PLAIN, "traces": True}, "": "`traces = true` in `[purposes.necessary]`"},
        {"purposes necessary": {**_PLAIN, "sells": True}, "": "`sells` in `[purposes.necessary]`"},
        {"purposes necessary": {**_PLAIN, "choice": "recipient"}, "": "`choice` in `[purposes.necessary]`"},
        {"purposes media choice": "recipient", "": '`choice = "recipient"`, and no recipients'},
        {
            f"{_ADS} choice": "recipient",
            "recipients": [{**_BIDDER, "id": f"r{number}"} for number in range(121)],
            "vendors": {},
            "": "121 recipients to choose from",
        },
        {f"{_ADS} erase_on_withdrawal": True},
        {"purposes analytics retention": REMOVED, "": "`traces = true`, and no `retention`"},
        {"site regions": ["EU"], f"{_ADS} data": REMOVED, "": '`regions = ["EU"]`, and no `data`'},
    ),
    "[[cookies]]": (
        {f"{_AD} name": "my cookie"},
        {f"{_AD} name": "n" * 257, "": "a name of 257 characters"},
        {f"{_AD} name": "*"},
        {"cookies 1": {"name": "_ad", "purpose": "ads"}, "": "the same name twice"},
        {f"{_AD} purpose": "ad"},
        {f"{_AD} duration": "401 days"},
        {f"{_AD} path": "shop"},
        {f"{_AD} path": "/" + "p" * 1024, "": "a path of 1025 characters"},
        {f"{_AD} domain": "https://shop.example"},
        {f"{_AD} name": "__Host-ad", f"{_AD} domain": "shop.example", "": "`domain` of a `__Host-` cookie"},
        {f"{_AD} recipient": "bidder"},
    ),
    "[[recipients]]": (
        {f"{_ADNET} id": "AdNet"},
        {"recipients 1": {**_BIDDER, "id": "adnet"}, "": "the same id twice"},
        {f"{_ADNET} name": ""},
        {f"{_ADNET} purpose": "ad"},
        {f"{_ADNET} origins": ["https://ads.example/tag.js"]},
        {f"{_ADNET} origins": ["https://ads.example:70000"]},
        {f"{_ADNET} directives": ["scripts"]},
        {f"{_ADNET} country": "UK"},
        {f"{_ADNET} policy_url": "ads.example"},
        {"site regions": ["GB"], f"{_ADNET} country": REMOVED, "": '`regions = ["GB"]`, and no `country`'},
        {"site regions": ["JP"], f"{_ADNET} use": REMOVED, "": '`regions = ["JP"]`, and no `use`'},
    ),
    "[features.ID]": (
        {"features map purposes": []},
        {"features map purposes": ["maps"]},
    ),
    "[services.ID]": (
        {f"{_HELP} path": REMOVED, "": "neither `path` nor `host`"},
        {f"{_HELP} path": "help"},
        {f"{_HELP} host": "https://help.example"},
        {f"{_HELP} policy_url": "terms"},
        {"services support": {"path": "/help/"}, "": "the same place twice"},
    ),
    "[services.ID.purposes.PURPOSE]": (
        {f"{_HELP} purposes ad": {"refused": True}, "": "an unknown purpose"},
        {f"{_HELP} purposes ads refused": False},
        {f"{_HELP} purposes necessary": {"refused": True}, "": "`refused = true` of `necessary`"},
        {f"{_HELP} purposes ads retention": "40 days"},
    ),
    "[signals]": (
        {"signals gpc": "on"},
        {"signals gpc": ["tracking"]},
        {"signals gpc": ["necessary"]},
        {"signals gpc": "ignore", f"{_ADS} sells": True, "": '`gpc = "ignore"`, and a purpose with `sells`'},
        {"signals gpc": "ignore", "site regime": "us-optout", "": '`gpc = "ignore"` under `us-optout`'},
    ),
    "[requests]": ({"requests keep_address": "2000 days"},),
    "[security]": (
        {"security content_security_policy": "default-src 'self'\nimg-src *", "": "a line break in a value"},
        {"security content_security_policy": "default-src 'self', img-src *"},
        {"security content_security_policy": "images 'self'"},
        {"security content_security_policy": "img-src 'self'; img-src data:"},
        {"security content_security_policy": "default-src self"},
        {"security content_security_policy": "script-src 'nonce-abc'"},
        {"security permissions_policy": "camera 'none'"},
        {"security referrer_policy": "none"},
        {"security connection_allowlist": ["api.example"]},
    ),
    "[goals.ID]": (
        {"goals signup event": REMOVED, "": "neither `event` nor `page`"},
        {"goals signup page": "/welcome", "": "`event` and `page`"},
        {"goals signup event": "Sign up"},
        {"goals signup": {"page": "welcome"}, "": '`page = "welcome"`'},
        {"goals signup": {"page": "/shop/*/paid"}, "": '`page = "/shop/*/paid"`'},
    ),
    "[funnels.ID]": (
        {"funnels order steps": ["/cart"]},
        {"funnels order steps": ["/cart", "paid"]},
        {"funnels order steps": ["/cart", "event:Paid"]},
        {"funnels order steps": ["/cart", "goal:sign-up"]},
    ),
    "[vendors]": (
        {"vendors": "meta_pixel", "": '`vendors = "meta_pixel"`'},
        {"vendors facebook": "ads"},
        {"vendors meta_pixel": 1},
        {"vendors meta_pixel": "ad"},
        {"vendors meta_pixel": {"ad_storage": "ads"}},
        {"vendors google_consent_mode": "ads"},
        {"vendors google_consent_mode": {"ads_storage": "ads"}},
        {"vendors google_consent_mode": {"ad_storage": 1}},
        {"vendors google_consent_mode": {"ad_storage": "ads", "mode": "full"}},
        {"vendors google_consent_mode": {"ad_storage": "ads", "url_passthrough": "yes"}},
        {"vendors google_consent_mode": {"ad_storage": "ads", "mode": "advanced", "wait_for_update": 20000}},
        {"vendors google_consent_mode": {"ad_storage": "ads", "wait_for_update": 500}},
    ),
    "[texts.LANGUAGE]": (
        {"texts ja": {"banner_title": "…"}, "": "`[texts.ja]`, not offered"},
        {"texts en baner_title": "…"},
        {"texts en banner_title": 1},
        {"texts en banner_title": ""},
        {"texts en banner_title": {"one": "…", "other": "…"}},
        {"texts en banner_recipients": "…"},
        {"texts": {"en": "…"}, "": '`[texts] en = "…"`'},
    ),
}
"""Table -> wrong files."""


def errors_table(wrong: Iterable[Wrong]) -> str:
    """Return a table of wrong files, and what the messages say behind the names of file and table."""
    return table(("written", "what the message says"), ((_shown(change), _message(change)) for change in wrong))


def _shown(change: Wrong) -> str:
    """Return what a change makes the file say."""
    if "" in change:
        return str(change[""])
    path, value = next(iter(change.items()))
    return code(f"{path.split()[-1]} = {_written(value)}")


def _written(value: object) -> str:
    """Return a value as a person writes it in a policy file."""
    text = re.sub(r'"([\w-]+)" = ', r"\1 = ", toml_inline(value))
    return re.sub(r"\{(.+)\}", r"{ \1 }", text)


def _message(change: Wrong) -> str:
    error = wrong_file(change)
    said = str(PolicyError(error.problem, error.remedy, key=error.key))
    return code(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…")


def wrong_file(change: Wrong) -> PolicyError:
    """Return the first error of a changed file."""
    try:
        raise_all(errors_in_force(policy_of(changed({path: value for path, value in change.items() if path}))))
    except PolicyError as error:
        return errors_of(error)[0]
    raise AssertionError(f"{change} is no error")


def errors_of(error: PolicyError) -> tuple[PolicyError, ...]:
    """Return the errors that one error stands for."""
    return getattr(error, "errors", (error,))
