"""What a card in place of somebody else's content is about: a recipient, a feature or a purpose."""

from __future__ import annotations

from dataclasses import dataclass

from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.parts import Feature, Texts
from cookie_consent.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card names, and what it asks for.

    Args:
        id: the id of the recipient, the feature or the purpose.
        title: its name, per language.
        purposes: the ids of the purposes that the content needs, all of them.
        feature: the feature that the card is about, or None.
    """

    id: str
    title: Texts
    purposes: tuple[str, ...]
    feature: Feature | None = None


def card_of(policy: Policy, id_: str) -> Card:
    """Return the card for an id. A recipient is looked up first, then a feature, then a purpose.

    Args:
        policy: the policy that applies to the page.
        id_: the id.

    Raises:
        LookupError: the policy has nothing with this id.
    """
    card = find_card(policy, id_)
    if card is None:
        known = [*(part.id for parts in (policy.recipients, policy.features) for part in parts), *policy.optional]
        raise LookupError(f'there is no recipient, feature or purpose "{id_}" for a card. {did_you_mean(id_, known)}')
    return card


def find_card(policy: Policy, id_: str) -> Card | None:
    """Return the card for an id, or None; see `card_of`."""
    recipient = next((recipient for recipient in policy.recipients if recipient.id == id_), None)
    if recipient is not None:
        title = dict.fromkeys(policy.site.languages, recipient.name)
        return Card(id=id_, title=title, purposes=(recipient.purpose,))
    feature = next((feature for feature in policy.features if feature.id == id_), None)
    if feature is not None:
        return Card(id=id_, title=feature.title, purposes=feature.purposes, feature=feature)
    if id_ in policy.optional:
        return Card(id=id_, title=policy.in_force[id_].title, purposes=(id_,))
    return None
