"""What the laws of a region ask a policy to say. `regions.toml` describes each region."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files

from cookie_consent.policy.errors import PolicyError, did_you_mean

_REMEDIES = {
    "data": "Say which kinds of data it uses, as in data = {{ {example} }}.",
    "country": 'Write where it handles the data, as in country = "US".',
    "use": "Say what the recipient uses the data for, as in use = {{ {example} }}.",
}
"""Key -> what would be right, if the key is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region whose laws ask for certain keys.

    Args:
        name: its name in a sentence.
        reviewed_on: when this entry was last compared with its sources.
        sources: the sources.
        purposes: key of [purposes.ID] -> the provision that asks for it.
        recipients: key of [[recipients]] -> the provision that asks for it.
        transmission_notice: whether a page has to tell what is sent to whom.
    """

    name: str
    reviewed_on: date
    sources: tuple[str, ...]
    purposes: Mapping[str, str] = field(default_factory=dict)
    recipients: Mapping[str, str] = field(default_factory=dict)
    transmission_notice: bool = False


@cache
def regions() -> Mapping[str, Region]:
    """Return the regions that a policy can name, by their codes."""
    # Data and not code, so that people who know the law can review it.
    text = (files(__package__) / "regions.toml").read_text(encoding="utf-8")
    return {code: Region(**{**data, "sources": tuple(data["sources"])}) for code, data in tomllib.loads(text).items()}


def unknown_regions(codes: tuple[str, ...]) -> Iterator[PolicyError]:
    """Yield an error for each code that names no region."""
    for code in codes:
        if code not in regions():
            yield PolicyError(f'there is no region "{code}" here', did_you_mean(code, regions()), key="regions")


def missing_keys(
    part: object, asked_for: Mapping[str, str], *, region: str, table: str, language: str
) -> Iterator[PolicyError]:
    """Yield an error for each key that a region's laws ask for and a part of a policy lacks.

    Args:
        part: the purpose or recipient.
        asked_for: key -> the provision that asks for it.
        region: the region's code.
        table: the part's table as the file writes it.
        language: a language of the site, for the example in the message.
    """
    for key, provision in asked_for.items():
        if not getattr(part, key):
            yield PolicyError(
                f"the law of {regions()[region].name} asks for this key ({provision})",
                _REMEDIES[key].format(example=f'{language} = "…"'),
                table=table,
                key=key,
            )
