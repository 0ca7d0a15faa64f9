"""Tests of the policy: its parts, its services and its version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import NECESSARY, Change, Purpose, Service, ServicePurpose, SignalRules, Site
from cookie_consent.policy.policy import Policy, canonical_json
from tests.support.asgi import SITE, policy
from tests.support.policies import (
    FULL_POLICY,
    full_policy_data,
    policy_of,
    purpose,
    recipient,
    site,
    small_policy,
    write_policy_file,
)
from tests.support.policy_strategies import policies

POLICY = policy_of(full_policy_data())
WHOIS, SHOP = (POLICY.under(service) for service in POLICY.services)

Step = str | int


def words(data: Any, above: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield the path of each text for visitors in the data of a policy file."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        of_site = key in ("name", "controller", "contact") and above == ("site",)
        if of_site or (key in ("ja", "en", "accept_all") and isinstance(value, str)):
            yield (*above, key)
        elif isinstance(value, dict | list):
            yield from words(value, (*above, key))


WORDS = list(words(full_policy_data()))


def with_word(place: tuple[Step, ...], text: str) -> Policy:
    """Return the policy with one text replaced."""
    data = full_policy_data()
    table: Any = data
    for step in place[:-1]:
        table = table[step]
    table[place[-1]] = text
    return policy_of(data)


def test_a_policy_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(FULL_POLICY, encoding="utf-8")
    assert Policy.load(path).document() == Policy.load(str(path)).document() == POLICY.document()


def test_missing_policy_file_is_named_with_its_folder_and_what_writes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.toml"))) as caught:
        Policy.load("none.toml")
    assert caught.value.__notes__ == ["`cookie-consent init none.toml` writes a policy file."]


def test_policy_error_names_file_table_and_key(tmp_path: Path) -> None:
    data = full_policy_data()
    data["cookies"][0]["purpose"] = "sessions"
    path = write_policy_file(tmp_path, data)
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    assert str(caught.value).startswith(f'{path}: [[cookies]] "session" key "purpose": there is no purpose "sessions".')


def test_necessary_purpose_is_added_or_declared_by_the_site() -> None:
    policy = small_policy("media", site=site("en"))
    first = policy.purposes[0]
    assert (first.id, first.title) == (NECESSARY, {"en": "Strictly necessary"})
    assert (first.traces, first.refused, policy.optional) == (False, False, ("media",))
    own = purpose(NECESSARY)
    assert small_policy(purposes=(purpose("media"), own)).purposes == (purpose("media"), own)
    worded = small_policy("media", wording={"en": {"necessary_title": "Needed"}})
    assert worded.purposes[0].title == {"en": "Needed"}


def test_site_wording_overrides_shipped_texts() -> None:
    assert POLICY.texts["en"]["accept_all"] == "Yes to all"
    assert POLICY.texts["en"]["refuse_all"] == "Refuse all"
    assert POLICY.texts.keys() == {"ja", "en"}


@pytest.mark.requirement("PO-04")
def test_policy_finds_parts_of_purpose() -> None:
    assert [cookie.name for cookie in POLICY.cookies_of("analytics")] == ["_ga*"]
    assert [cookie.name for cookie in POLICY.cookies_of("none")] == []
    assert [recipient.id for recipient in POLICY.recipients_of("media")] == ["example-maps"]
    assert [feature.id for feature in POLICY.features_of("media")] == ["map"]
    assert POLICY.traced == {"analytics"}


RECIPIENTS = (recipient("r1", "ads"), recipient("r2", "media"), recipient("r3", NECESSARY))


@pytest.mark.requirement("SG-03")
@pytest.mark.parametrize(
    ("rules", "gpc", "dnt"),
    [
        (SignalRules(), {"ads", "media"}, {"analytics"}),
        (SignalRules(gpc=(), dnt=()), set(), set()),
        (SignalRules(gpc=("analytics",), dnt=("ads", "media")), {"analytics"}, {"ads", "media"}),
    ],
    ids=["by default", "ignored", "as declared"],
)
def test_signals_refuse_purposes_by_rule_or_default(rules: SignalRules, gpc: set[str], dnt: set[str]) -> None:
    policy = small_policy("ads", "analytics", "media", recipients=RECIPIENTS, signals=rules)
    assert policy.gpc_refuses == gpc
    assert policy.dnt_refuses == dnt


def test_service_overrides_only_what_it_declares() -> None:
    ours, theirs = POLICY.in_force["analytics"], WHOIS.in_force["analytics"]
    assert theirs == replace(
        ours,
        title={"en": "Tracing of searches", "ja": "検索履歴の追跡"},
        description={"en": "We count searches.", "ja": "検索を数えます。"},
        retention=timedelta(days=30),
    )
    assert WHOIS.in_force["media"] == POLICY.in_force["media"]
    assert SHOP.in_force["media"] == replace(POLICY.in_force["media"], refused=True)
    assert SHOP.in_force["analytics"] == ours


@pytest.mark.requirement("PO-02")
def test_a_service_never_widens_a_refusal() -> None:
    service = Service(id="shop", path="/shop", purposes={"media": ServicePurpose(title={"en": "Films"})})
    policy = small_policy(purposes=(replace(purpose("media"), refused=True),), services=(service,)).under(service)
    assert policy.in_force["media"].title == {"en": "Films"}
    assert policy.in_force["media"].refused


def test_version_is_that_of_the_document_alone() -> None:
    assert re.fullmatch("[0-9a-f]{16}", POLICY.version)
    assert POLICY.with_history([]) is POLICY
    for same in (WHOIS, SHOP, POLICY.with_history([small_policy("media")]), policy_of(full_policy_data())):
        assert (same.version, same.document()) == (POLICY.version, POLICY.document())


@pytest.mark.requirement("PO-05")
@pytest.mark.parametrize("place", WORDS, ids=str)
def test_each_text_is_part_of_version(place: tuple[Step, ...]) -> None:
    assert with_word(place, "Other words").version != POLICY.version


@given(policies(), policies())
@pytest.mark.slow
def test_policies_share_version_only_if_documents_are_equal(one: Policy, other: Policy) -> None:
    assert (one.version == other.version) is (one.document() == other.document())


def test_document_has_durations_in_seconds_and_dates_as_text() -> None:
    document = POLICY.document()
    assert document["purposes"][1]["retention"] == 395 * 86_400
    assert document["cookies"][0]["duration"] is None
    assert document["services"][0]["purposes"]["analytics"]["retention"] == 30 * 86_400
    assert document["changes"][0]["date"] == "2026-11-25"
    assert document["signals"] == {"gpc": ["media"], "dnt": None}


def test_policy_is_as_old_as_its_date_or_newest_change() -> None:
    changes = tuple(Change(date=date(2026, month, 1), text={"en": "A change."}) for month in (3, 5, 4))
    assert small_policy(changes=changes).updated == date(2026, 5, 1)
    assert small_policy(changes=changes, site=replace(site(), updated=date(2026, 6, 1))).updated == date(2026, 6, 1)
    assert small_policy().updated is None


def test_canonical_json_sorts_keys() -> None:
    assert (
        canonical_json({"b": 1, "a": ["あ"]}) == canonical_json({"a": ["あ"], "b": 1}) == '{"a":["あ"],"b":1}'.encode()
    )


def test_history_accepts_files_and_policies(tmp_path: Path) -> None:
    data = full_policy_data()
    data["site"]["name"] = "Older Registry"
    policy = Policy.load(
        write_policy_file(tmp_path, full_policy_data()),
        history=[write_policy_file(tmp_path, data, "old.toml"), small_policy("media")],
    )
    assert [old.site.name for old in policy.history] == ["Older Registry", "Site"]
    assert policy.version == POLICY.version


def test_lists_are_accepted_in_place_of_tuples() -> None:
    site = Site(name="A", controller="B", contact="c@d.example", prevailing_language="en", languages=["en"])  # type: ignore[arg-type]
    purpose = Purpose(id="analytics", title={"en": "A"}, description={"en": "B"})
    listed = Policy(site=site, purposes=[purpose])  # type: ignore[arg-type]
    assert (site.languages, type(listed.purposes)) == (("en",), tuple)
    assert listed.version == Policy(site=site, purposes=(purpose,)).version


def test_access_records_are_kept_for_shortest_declared_retention() -> None:
    def kept(*more: str) -> timedelta | None:
        return policy("\n".join((SITE, *more))).access_records_kept

    assert kept() == timedelta(days=30)
    assert kept("[services.shop]", 'path = "/shop"') == timedelta(days=30)
    assert kept("[services.shop]", 'path = "/shop"', "[services.shop.purposes.analytics]", 'retention = "7 days"') == (
        timedelta(days=7)
    )
    assert policy(SITE.replace('retention = "30 days"', "")).access_records_kept is None
