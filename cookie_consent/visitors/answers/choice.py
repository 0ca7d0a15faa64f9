"""Which recipients of a purpose an answer grants, where the policy has visitors choose each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cookie_consent.base.problem import Problem
from cookie_consent.decision.decision import Decision
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.policy import Policy


def check_recipients(recipients: Iterable[str], policy: Policy) -> None:
    """Check that visitors choose each of these recipients by itself.

    Raises:
        Problem: 400, there is no such recipient, or its purpose is chosen as a whole.
    """
    purposes = {recipient.id: recipient.purpose for recipient in policy.recipients}
    for id_ in sorted(recipients):
        if id_ not in purposes:
            raise Problem(400, f"There is no recipient {id_[:40]!r}. {did_you_mean(id_[:40], purposes)}")
        if purposes[id_] not in policy.by_recipient:
            raise Problem(400, f"The recipient {id_!r} is not chosen by itself. Name its purpose, {purposes[id_]!r}.")


def purposes_of_form(
    ticked: Mapping[str, bool], recipients: Mapping[str, bool], shown_on: Iterable[str], policy: Policy
) -> dict[str, bool]:
    """Return what a form says of purposes: purpose id -> whether it is granted; one that it leaves open is missing.

    A form without a script has a tick box for a purpose and one for each of its recipients, which do not know of each
    other. A purpose that was ticked when the form was made is refused if the visitor unticked it or all of its
    recipients.

    Args:
        ticked: the ticked purposes.
        recipients: the ticked recipients.
        shown_on: the ids of the purposes that were ticked when the form was made.
        policy: the site's policy.
    """
    left = {recipient.purpose for recipient in policy.recipients if recipients.get(recipient.id)}
    undone = {purpose for purpose in shown_on if purpose not in ticked or purpose not in left}
    return {**ticked, **dict.fromkeys(undone & policy.by_recipient, False)}


def chosen_recipients(
    purpose: str, says: bool | None, recipients: Mapping[str, bool], before: Decision, *, adds: bool
) -> frozenset[str]:
    """Return the ids of the recipients that an answer grants.

    - A purpose that is named as refused has none, whatever is said of its recipients.
    - If recipients are named as granted, these are. The others are refused, unless the answer only adds to what holds.
    - A purpose that is granted without naming any keeps those that it has, or else gets all.
    - A recipient that is named as refused is refused in any case.

    Args:
        purpose: the id of the purpose.
        says: whether the answer grants it; None if it does not name it.
        recipients: recipient id -> whether it is granted, for those that the answer names.
        before: the decision until now.
        adds: whether the answer leaves as it is what it does not name.
    """
    offered = frozenset(recipient.id for recipient in before.policy.recipients_of(purpose))
    held = offered - before.refused_recipients if before.purposes[purpose] else frozenset[str]()
    named = frozenset(id_ for id_ in offered if recipients.get(id_))
    refused = frozenset(id_ for id_ in offered if recipients.get(id_) is False)
    if says is False and not adds:
        return frozenset()
    if named:
        granted = held | named if adds else named
    elif says:
        granted = held or offered
    else:
        granted = held if adds else frozenset()
    return granted - refused
