"""The site of the tracing simulation: the versions of its policy, and an app whose path selects the response."""

from __future__ import annotations

import tomllib
from typing import Any

from starlette.types import Receive, Scope, Send

from cookie_consent import Policy
from tests.support.asgi import SITE_TABLE
from tests.support.policies import policy_of
from tests.support.tracing_oracle import MEDIA, REFUSED_IN, SHOP_HOST, TRACING, VERSIONS

PLACES = {"": "", "/whois": "whois", "/whoisnt": "", "/archive": "archive"}
"""The first part of a path -> its service; not on the shop's host, which is a service itself."""
PAGES = {"page": 200, "map": 200, "missing": 404, "moved": 303, "same": 304}


class BrokenError(Exception):
    """The exception of the app."""


def bilingual(text: str) -> dict[str, str]:
    return {"en": text, "ja": text}


def policy(version: int) -> Policy:
    """Return a version of the policy, as the oracle knows it."""
    data: dict[str, Any] = tomllib.loads(SITE_TABLE)
    terms = VERSIONS[version]
    data["purposes"] = {
        id_: {
            "title": bilingual(id_),
            "description": bilingual(f"{id_} {version}"),
            "traces": id_ in TRACING,
        }
        | ({"retention": f"{part.days} days"} if part.days else {})
        for id_, part in terms.items()
    }
    data["recipients"] = [
        {"id": recipient, "name": recipient, "purpose": id_, "receives": bilingual("Address"),
         "origins": [f"https://{recipient}.example"]}
        for id_, part in terms.items() for recipient in sorted(part.recipients)
    ]  # fmt: skip
    data["features"] = {"map": {"title": bilingual("Map"), "purposes": [MEDIA], "fallback": bilingual("No map.")}}
    data["services"] = {
        id_: ({"host": SHOP_HOST} if id_ == "shop" else {"path": f"/{id_}"})
        | {"purposes": {purpose: {"refused": True} for purpose in refused if purpose in terms}}
        for id_, refused in REFUSED_IN.items() if id_
    }  # fmt: skip
    return policy_of(data)


POLICIES = tuple(policy(version) for version in range(len(VERSIONS)))


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond as the last but one part of the path selects."""
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept", "headers": []})
        return
    _, kind, number = scope["path"].rsplit("/", 2)
    if kind == "broken":
        raise BrokenError
    if kind == "map":
        scope["state"]["consent"].feature("map")
    page = f'<!doctype html><html lang="{language_of(int(number))}"><body>Hello</body></html>'.encode()
    fields = [] if kind == "same" else [(b"content-type", b"text/plain" if kind == "data" else b"text/html")]
    await send({"type": "http.response.start", "status": PAGES.get(kind, 200), "headers": fields})
    await send({"type": "http.response.body", "body": b"" if kind == "same" else page})


def language_of(number: int) -> str:
    return "ja" if number % 3 == 0 else "en"
