"""The sites of the pages' examples, and changes of their policy files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from cookie_consent import Policy
from tests.support.policies import policy_of
from tests.support.reference.markdown import blocks_of

_EVERY_TABLE = """
[site]
name = "Example Shop"
controller = "Example Shop Ltd."
contact = "privacy@shop.example"
prevailing_language = "en"
languages = ["en"]
policy_url = "/privacy"
domain = "shop.example"
hosts = ["shop.example", "www.shop.example"]
updated = 2026-11-01
authority = { name = { en = "Commission" }, url = "https://authority.example" }

[purposes.analytics]
title = { en = "Access tracing" }
description = { en = "We count visits." }
retention = "30 days"
traces = true

[purposes.ads]
title = { en = "Advertising" }
description = { en = "We show ads." }
data = { en = "Pages you looked at" }
legal_basis = { en = "Consent" }
retention = "30 days"

[purposes.media]
title = { en = "Maps" }
description = { en = "We show maps." }

[[cookies]]
name = "_ad"
purpose = "ads"
duration = "30 days"
description = { en = "Knows your browser again." }

[[recipients]]
id = "adnet"
name = "AdNet Inc."
purpose = "ads"
receives = { en = "IP address" }
use = { en = "Measures campaigns." }
country = "US"
origins = ["https://ads.example"]
directives = ["script"]
policy_url = "https://ads.example/privacy"

[features.map]
title = { en = "Map" }
purposes = ["media"]
fallback = { en = "No map." }

[services.help]
path = "/help"
title = { en = "Help desk" }
policy_url = "/help/terms"

[services.help.purposes.ads]
title = { en = "Ads" }
description = { en = "We show ads here, too." }
retention = "10 days"

[[changes]]
date = 2026-11-01
text = { en = "First version." }

[signals]
gpc = ["ads"]
dnt = ["analytics"]

[records]
keep = "1095 days"

[requests]
due = "30 days"

[security]
content_security_policy = "default-src 'self'"

[vendors]
meta_pixel = "ads"

[goals.signup]
event = "signup"

[funnels.order]
steps = ["/shop*", "/cart", "event:paid"]

[texts.en]
banner_title = "Your choice"
"""
REMOVED = object()
"""What `changed` takes for a key that is left out."""


@cache
def policy() -> Policy:
    """Return the policy of the first example in docs/policy.md."""
    return policy_of(tomllib.loads(blocks_of("policy.md", "toml")[0]))


def every_table() -> dict[str, Any]:
    """Return the data of a policy file that has every table."""
    return tomllib.loads(_EVERY_TABLE)


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the file with every table, changed.

    Args:
        changes: the path of a value -> the value, as in {"cookies 0 name": "_ads"}.
    """
    data = every_table()
    for path, value in changes.items():
        *above, last = (int(step) if step.isdecimal() else step for step in path.split())
        place: Any = data
        for step in above:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if value is REMOVED:
            del place[last]
        elif isinstance(last, int) and last == len(place):
            place.append(deepcopy(value))
        else:
            place[last] = deepcopy(value)
    return data


def in_another_language(tag: str) -> dict[str, Any]:
    """Return the changes that offer the file with every table in another language beside English."""
    changes: dict[str, Any] = {"site languages": ["en", tag]}

    def look_at(value: Any, path: str) -> None:
        if isinstance(value, dict) and value.keys() == {"en"} and path != "texts":
            changes[path] = {**value, tag: "…"}
        elif isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                look_at(item, f"{path} {key}".strip())

    look_at(every_table(), "")
    return changes
