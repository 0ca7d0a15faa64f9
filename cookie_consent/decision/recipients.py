"""Which recipients may get data, where the policy has visitors choose each of them."""

from __future__ import annotations

from collections.abc import Iterable

from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import Answer, ConsentRecord
from cookie_consent.policy.material import digests
from cookie_consent.policy.policy import Policy


def granted_recipients(decision: Decision) -> frozenset[str]:
    """Return the ids of the recipients that may get data now; where the policy offers no choice, all of a purpose."""
    purposes, refused = decision.purposes, decision.refused_recipients
    return frozenset(
        recipient.id
        for recipient in decision.policy.recipients
        if purposes[recipient.purpose] and recipient.id not in refused
    )


def takes_recipients_away(before: Decision, record: ConsentRecord) -> bool:
    """Return whether an answer refuses a recipient of a purpose that it grants, and that was allowed until now."""
    if not record.chooses_recipients:
        return False
    policy, granted = before.policy, granted_recipients(before)
    return any(record.refuses_recipient(policy.recipient(id_).purpose, id_) for id_ in granted)


class RecipientBits:
    """Writes the granted recipients of a purpose as a number, and reads it.

    Bit n stands for the recipient that comes n-th among the ids of the purpose's recipients, in alphabetical order. A
    later policy may have others. So a number is read with the policy that it was written under, which the digest of the
    purpose's material facts identifies: the recipients are among those facts.

    Args:
        policies: the policy in force and the known earlier ones.
    """

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self._recipients = {
            (purpose, facts): sorted(recipient.id for recipient in policy.recipients_of(purpose))
            for policy in policies
            for purpose, facts in digests(policy).items()
        }

    def write(self, purpose: str, answer: Answer) -> str:
        """Return the number for an answer, in hexadecimal; "" if it grants all recipients or none."""
        if answer.recipients is None:
            return ""
        recipients = self._recipients.get((purpose, answer.facts), [])
        return f"{sum(1 << place for place, id_ in enumerate(recipients) if id_ in answer.recipients):x}"

    def read(self, purpose: str, facts: str, number: str) -> frozenset[str]:
        """Return the ids of the granted recipients; none if no known policy has these facts.

        Args:
            purpose: the id of the purpose.
            facts: the digest of its material facts.
            number: what `write` returned.
        """
        bits, recipients = int(number, 16), self._recipients.get((purpose, facts), [])
        return frozenset(id_ for place, id_ in enumerate(recipients) if bits >> place & 1)
