"""Tests that one run finds all errors of a policy file, and none that follows only from another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware, Policy, PolicyError
from cookie_consent.policy.parts import Cookie, Purpose, Site
from cookie_consent.policy.policy import policy_in_use
from tests.support.asgi import reply_app
from tests.support.policies import KEY, full_policy_data, write_policy_file

Damage = Callable[[dict[str, Any]], object]
WRONG = """
[site]
name = "Site"
controler = "Site Ltd."
contact = ""
prevailing_language = "ja"
languages = ["ja", "EN"]
laws = ["euu"]

[purposes.analytics]
title = { en = "Visits", ja = "訪問" }
description = { en = "We count visits." }
traced = true

[purposes.Media]
title = { en = "Maps", ja = "地図" }
description = "We show maps."

[[cookies]]
name = "session"
purpose = "nescessary"
duration = "2 fortnights"

[[cookies]]
name = "_ga*"
purpose = "analytics"

[[recipients]]
name = "Maps Inc."
purpose = "Media"
origins = "https://maps.example/path"
country = "USA"
receives = { en = "Address", ja = "アドレス" }

[feature.map]
title = { en = "Map", ja = "地図" }
purposes = ["maps"]
fallback = { en = "No map.", ja = "地図なし" }

[services.shop]
policy_url = "terms"

[signals]
gpc = "ignored"

[vendors]
matomo = "analytic"
meta = 1
"""
PLACES = [
    ("[feature]", ""),
    ("[site]", "languages"),
    ("[site]", "controler"),
    ("[purposes.analytics]", "traced"),
    ("[purposes.Media]", "description"),
    ('[[cookies]] "session"', "duration"),
    ('[[recipients]] "Maps Inc."', "origins"),
    ('[[recipients]] "Maps Inc."', "id"),
    ("[signals]", "gpc"),
    ("[vendors]", "meta"),
    ("[site]", "laws"),
    ("[site]", "contact"),
    ("[purposes.Media]", "id"),
    ('[[recipients]] "Maps Inc."', "country"),
    ("[services.shop]", "path"),
    ("[services.shop]", "policy_url"),
    ("[purposes.analytics]", "description"),
    ('[[cookies]] "session"', "purpose"),
    ("[features.map]", "purposes"),
    ("[vendors]", "matomo"),
    ("[purposes.analytics]", "retention"),
]


def errors_of(folder: Path, data: dict[str, Any]) -> list[tuple[str, str]]:
    """Load a policy file with this data, and return table and key of each error."""
    with pytest.raises(PolicyError) as caught:
        policy_in_use(write_policy_file(folder, data))
    return [(error.table, error.key) for error in caught.value.errors]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "consent.toml"
    file.write_text(WRONG, encoding="utf-8")
    return file


def test_one_run_names_each_error_once(path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_in_use(path)
    errors = caught.value.errors
    assert sorted((error.table, error.key) for error in errors) == sorted(PLACES)
    assert all(error.file == str(path) and error.problem and error.remedy for error in errors)


def test_start_of_the_middleware_shows_twenty_of_them(path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        ConsentMiddleware(reply_app(), path, KEY)
    *lines, last = str(caught.value).splitlines()
    assert len(lines) == 20
    assert all(line.startswith(f"{path}: [") for line in lines)
    assert len(PLACES) == 21
    assert last == "and 1 more error"


def test_load_leaves_out_what_only_the_policy_in_force_needs(path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    assert ("[purposes.analytics]", "retention") not in [(error.table, error.key) for error in caught.value.errors]


FOLLOWED: dict[str, tuple[Damage, list[tuple[str, str]]]] = {
    "a misspelt table is read as it was meant": (
        lambda data: data.update(purpose=data.pop("purposes")),
        [("[purpose]", "")],
    ),
    "a misspelt key is not missing": (
        lambda data: data["site"].update(controler=data["site"].pop("controller")),
        [("[site]", "controler")],
    ),
    "what refers to a purpose with a wrong id finds it": (
        lambda data: (
            data["purposes"].update(Media=data["purposes"].pop("media")),
            data["features"]["map"].update(purposes=["Media"]),
        ),
        [
            ("[purposes.Media]", "id"),
            ('[[cookies]] "player"', "purpose"),
            ('[[recipients]] "example-maps"', "purpose"),
            ("[services.shop.purposes.media]", ""),
            ("[signals]", "gpc"),
        ],
    ),
    "a text that cannot be read lacks no language": (
        lambda data: data["purposes"]["media"].update(title="Maps"),
        [("[purposes.media]", "title")],
    ),
    "a cookie without a name has other errors": (
        lambda data: data["cookies"][0].update(name=1, purpose="x"),
        [("[[cookies]] no. 1", "name"), ("[[cookies]] no. 1", "purpose")],
    ),
    "two cookies without a name are not declared twice": (
        lambda data: [data["cookies"][number].pop("name") for number in (0, 1)],
        [("[[cookies]] no. 1", "name"), ("[[cookies]] no. 2", "name")],
    ),
    "a retention that cannot be read is not too short": (
        lambda data: data["purposes"]["analytics"].update(retention="a year"),
        [("[purposes.analytics]", "retention")],
    ),
    "a purpose that is no table has no other errors": (
        lambda data: data["purposes"].update(media=1),
        [("[purposes.media]", "")],
    ),
    "a missing site makes no text wrong": (
        lambda data: data.pop("site"),
        [("[site]", "")],
    ),
    "purposes in double brackets are found by their ids": (
        lambda data: data.update(purposes=[{"id": id_, **keys} for id_, keys in data["purposes"].items()]),
        [("[purposes]", "")],
    ),
    "two services that cannot be read have no common place": (
        lambda data: data["services"].update(a=1, b={"path": 1}),
        [("[services.a]", ""), ("[services.b]", "path")],
    ),
    "a tracing purpose may lack what says that it traces": (
        lambda data: data["purposes"]["analytics"].update(traces="yes", erase_on_withdrawal=True),
        [("[purposes.analytics]", "traces")],
    ),
    "an unknown law asks for nothing": (
        lambda data: data["site"].update(laws=["xx"]),
        [("[site]", "laws")],
    ),
}


@pytest.mark.parametrize(("damage", "places"), FOLLOWED.values(), ids=FOLLOWED)
def test_no_error_follows_only_from_another(tmp_path: Path, damage: Damage, places: list[tuple[str, str]]) -> None:
    data = full_policy_data()
    damage(data)
    assert errors_of(tmp_path, data) == places


def test_text_that_lacks_several_languages_is_one_error(tmp_path: Path) -> None:
    data = full_policy_data()
    data["site"]["languages"] += ["de", "fr"]
    data["purposes"]["media"]["title"].update(de="Karten", fr="Cartes")
    with pytest.raises(PolicyError) as caught:
        Policy.load(write_policy_file(tmp_path, data))
    assert caught.value.problem == 'there is no text in the offered language "de" and "fr"'


def test_part_that_is_made_in_python_has_all_its_errors() -> None:
    with pytest.raises(PolicyError) as caught:
        Site(name=" ", controller="", contact="", prevailing_language="en", languages=("de",), policy_url="x")
    assert [error.key for error in caught.value.errors] == [
        "name",
        "controller",
        "contact",
        "policy_url",
        "prevailing_language",
    ]
    with pytest.raises(PolicyError) as caught:
        Cookie(name="a b", purpose="media", path="x", domain="y_")
    assert [error.key for error in caught.value.errors] == ["domain", "name", "path"]


def test_policy_that_is_made_in_python_has_all_its_errors() -> None:
    site = Site(name="S", controller="S", contact="s@s.example", prevailing_language="en", languages=("en",))
    with pytest.raises(PolicyError) as caught:
        Policy(
            site=site,
            purposes=(Purpose(id="media", title={}, description={"en": "Maps"}),),
            cookies=(Cookie(name="a", purpose="b"), Cookie(name="c", purpose="d")),
        )
    assert sorted((error.table, error.key) for error in caught.value.errors) == [
        ('[[cookies]] "a"', "purpose"),
        ('[[cookies]] "c"', "purpose"),
        ("[purposes.media]", "title"),
    ]
