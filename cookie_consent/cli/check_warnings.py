"""What `check` warns of, though the policy can be used."""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.policy.advice import advice
from cookie_consent.policy.declarations import labelled
from cookie_consent.policy.laws import overdue
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.vendors import vendor_advice

_SAME_IMPORT_NAME = "django-cookie-consent"


def warnings(policy: Policy, today: date) -> Iterator[str]:
    """Yield a sentence for each thing that a site should look at, but placeholders.

    Args:
        policy: the policy in force.
        today: the date to judge by.
    """
    yield from _other_distribution()
    yield from advice(policy, today)
    yield from _own_names(policy)
    yield from overdue(policy.laws, today).splitlines()
    yield from _vague(policy)
    yield from _retentions(policy)
    yield from vendor_advice(policy.vendors, policy.recipients)


def _other_distribution() -> Iterator[str]:
    """Yield a sentence if a distribution is installed that shares files with this one."""
    try:
        found = version(_SAME_IMPORT_NAME)
    except PackageNotFoundError:
        return
    yield (
        f"{_SAME_IMPORT_NAME} {found} is installed too. Both packages are imported as cookie_consent, so one has "
        f"overwritten files of the other. Run: pip uninstall {_SAME_IMPORT_NAME} cookie-consent, then install the one "
        "that you use."
    )


def _own_names(policy: Policy) -> Iterator[str]:
    """Yield a sentence for each declared cookie that is ours, under the names that ours have by default."""
    # The names do not depend on the key.
    own = OwnCookies(string.ascii_letters, domain=policy.site.domain, hosts=policy.site.hosts)
    taken = {error.table: str(error) for error in own.find_taken_names(policy)}
    yield from taken.values()
    for table, cookie in labelled("cookies", policy.cookies):
        if table not in taken and not cookie.is_stored and cookie.name in own.find_readers(policy):
            yield (
                f'{table} key "name": this is one of our own cookies, which the settings page lists by itself. Take it '
                "out, unless you describe ours in your own words. If your app has a cookie of this name, it is held "
                "back: rename ours with cookie_prefix=."
            )


def _vague(policy: Policy) -> Iterator[str]:
    """Yield a sentence for each recipient whose `receives` has a word that does not say what is sent."""
    for law in policy.laws:
        for recipient in policy.recipients:
            for word in law.vague_words:
                if word in recipient.receives[law.notice_language]:
                    yield (
                        f'[[recipients]] "{recipient.id}" key "receives": "{word}" does not say what is sent, as the '
                        f"law of {law.name} asks ({law.provisions}). Name it."
                    )


def _retentions(policy: Policy) -> Iterator[str]:
    """Yield a sentence for each optional purpose that does not say how long its data are kept."""
    for id_ in policy.optional:
        if policy.in_force[id_].retention is None:
            yield (
                f'[purposes.{id_}] key "retention": visitors are not told how long its data are kept. Write it, as in '
                'retention = "30 days"; of data that only a recipient keeps, what the recipient says.'
            )
