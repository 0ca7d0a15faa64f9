"""Policies and consent records for tests: a policy file with every table, small policies, and records."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.diff import digests
from cookie_consent.policy.parts import Feature, Purpose, Recipient, Site
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.reader import read_tables

FULL_POLICY = """
[site]
name = "Example Registry"
controller = "Example Registry Co., Ltd."
contact = "privacy@example.jp"
data_protection_officer = "officer@example.jp"
prevailing_language = "ja"
languages = ["ja", "en"]
policy_url = "https://example.jp/privacy"
updated = 2026-11-25
laws = ["jp"]
authority = { name = { en = "Commission", ja = "委員会" }, url = "https://authority.example/complaints" }

[purposes.analytics]
title = { en = "Access tracing", ja = "アクセス履歴の追跡" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "395 days"
traces = true

[purposes.media]
title = { en = "Maps and videos", ja = "地図と動画" }
description = { en = "We show maps and videos.", ja = "地図と動画を表示します。" }
data = { en = "Address of your device", ja = "端末のアドレス" }
legal_basis = { en = "Consent (GDPR Art. 6(1)(a))", ja = "同意（GDPR第6条1項a）" }

[[cookies]]
name = "session"
purpose = "necessary"
duration = "session"
description = { en = "Keeps you signed in.", ja = "ログインを保ちます。" }

[[cookies]]
name = "_ga*"
purpose = "analytics"
duration = "395 days"
path = "/"
domain = "example.jp"

[[cookies]]
name = "player"
purpose = "media"
duration = "30 days"
path = "/videos"

[[recipients]]
id = "example-maps"
name = "Example Maps Inc."
purpose = "media"
origins = ["https://maps.example.com", "https://*.tiles.example.com:8443"]
receives = { en = "IP address, address of the page", ja = "IPアドレス、ページのアドレス" }
directives = ["frame", "img"]
policy_url = "https://maps.example.com/privacy"
country = "US"
safeguard = { en = "Standard clauses", ja = "標準契約条項" }
use = { en = "Counts how often maps are shown.", ja = "地図の表示回数を数えます。" }

[features.map]
title = { en = "Map of offices", ja = "事務所の地図" }
purposes = ["media"]
fallback = { en = "The addresses are listed below.", ja = "住所は下にあります。" }

[services.whois]
path = "/whois"
policy_url = "/whois/terms"
title = { en = "Whois", ja = "Whois検索" }

[services.whois.purposes.analytics]
title = { en = "Tracing of searches", ja = "検索履歴の追跡" }
description = { en = "We count searches.", ja = "検索を数えます。" }
retention = "30 days"

[services.shop]
host = "shop.example.jp"

[services.shop.purposes.media]
refused = true

[[changes]]
date = 2026-11-25
text = { en = "Maps were added.", ja = "地図を加えました。" }

[signals]
gpc = ["media"]
dnt = "default"

[texts.en]
accept_all = "Yes to all"

[texts.ja]
accept_all = "すべてに同意"
"""
NOW = 1_750_000_000
"""2025-06-15 15:06:40 UTC"""
KEY = "a-key-that-only-the-tests-know-" + "k" * 32


def full_policy_data() -> dict[str, Any]:
    """Return the data of `FULL_POLICY`, as a copy that can be changed."""
    return tomllib.loads(FULL_POLICY)


def full_policy_in(*languages: str) -> Policy:
    """Return the policy of `FULL_POLICY` in these languages, without its own texts; the first language prevails."""

    def spread(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"en", "ja"}:
            return {language: f"{value['en']} [{language}]" for language in languages}
        if isinstance(value, dict):
            return {key: spread(item) for key, item in value.items()}
        return [spread(item) for item in value] if isinstance(value, list) else value

    data = full_policy_data()
    data["site"]["laws"] = ["uk"]
    del data["texts"]
    data["site"].update(languages=[*languages], prevailing_language=languages[0])
    return policy_of(spread(data))


def policy_of(data: Mapping[str, Any]) -> Policy:
    """Return the policy of a policy file with this data."""
    return Policy(**vars(read_tables(data)))


def write_policy_file(folder: Path, data: Mapping[str, Any], name: str = "consent.toml") -> Path:
    """Write data as a policy file and return its path."""
    path = folder / name
    path.write_text(
        "\n".join(f"{toml_string(key)} = {toml_inline(value)}" for key, value in data.items()), encoding="utf-8"
    )
    return path


def toml_string(text: str) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def toml_inline(value: object) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_string(key)} = {toml_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_inline, value)) + "]"
    if isinstance(value, str):
        return toml_string(value)
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def site(*languages: str) -> Site:
    """Return a site with these languages, by default English; the first language prevails."""
    offered = languages or ("en",)
    return Site(name="Site", controller="Site Ltd.", contact="a@site.example", prevailing_language=offered[0],
                languages=offered)  # fmt: skip


def text_of(policy: Policy, language: str, name: str) -> str:
    """Return a text of a policy that has no plural forms."""
    text = policy.texts[language][name]
    assert isinstance(text, str)
    return text


def purpose(id_: str, *, traces: bool = False, days: int | None = None) -> Purpose:
    """Return a purpose with English texts."""
    retention = None if days is None else timedelta(days=days)
    return Purpose(id=id_, title={"en": id_}, description={"en": f"About {id_}."}, retention=retention, traces=traces)


def recipient(id_: str, purpose: str, *origins: str) -> Recipient:
    """Return a recipient with English texts."""
    return Recipient(id=id_, name=id_, purpose=purpose, receives={"en": "Address"}, origins=origins)


def feature(id_: str, *purposes: str) -> Feature:
    """Return a feature with English texts."""
    return Feature(id=id_, title={"en": id_}, purposes=purposes, fallback={"en": f"No {id_}."})


def small_policy(*ids: str, **parts: Any) -> Policy:
    """Return an English policy with these purposes; "analytics" traces."""
    purposes = tuple(purpose(id_, traces=id_ == "analytics") for id_ in ids)
    return Policy(**{"site": site(), "purposes": purposes, **parts})


def consent_record(policy: Policy, states: Mapping[str, State], **changes: Any) -> ConsentRecord:
    """Return a consent record with these states, decided at `NOW`; a purpose without a state is refused."""
    facts = digests(policy)
    record = ConsentRecord(
        answers={id_: Answer(states.get(id_, State.REFUSED), facts[id_]) for id_ in policy.optional},
        policy=policy.version,
        decided_at=NOW,
        source="banner",
        language="en",
    )
    return replace(record, **changes)


def granting_record(policy: Policy, **changes: Any) -> ConsentRecord:
    """Return a consent record that grants all purposes."""
    return consent_record(policy, dict.fromkeys(policy.optional, State.GRANTED), **changes)


def refusing_record(policy: Policy, **changes: Any) -> ConsentRecord:
    """Return a consent record that refuses all purposes."""
    return consent_record(policy, {}, **changes)
