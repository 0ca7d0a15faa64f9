"""What a developer may set: whether it can be used, and what would be right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from os import PathLike, fspath
from typing import Any

from cookie_consent.app_language import BY_PATH
from cookie_consent.consistency import check_in_force
from cookie_consent.decision import CONSENT_LIFETIME, OPTED_OUT_FOR
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.logging import MODES
from cookie_consent.pages import LAYOUTS
from cookie_consent.parts import LONGEST_COOKIE
from cookie_consent.policy import Policy
from cookie_consent.policy_error import PolicyError
from cookie_consent.same_site import safe_next


def check_options(**given: Any) -> None:
    """Check the options that are used as they are.

    Raises:
        ValueError: names the option, and says what would be right.
    """
    for name, value in given.items():
        fits, remedy = _RULES[name]
        if not fits(value):
            raise ValueError(f"{name}: {value!r} is not valid. {remedy}")


def days(name: str, value: Any, *, most: timedelta) -> timedelta:
    """Return a number of days as a duration.

    Raises:
        ValueError: it is no number, or browsers do not keep a cookie for so long.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not timedelta(seconds=1) <= timedelta(days=min(value, most.days + 1)) <= most:
        raise ValueError(f"{name}: {value!r} is not valid. Write a number of days, at most {most.days} days.")
    return timedelta(days=value)


def consent_lifetime(given: Any, policy: Policy) -> timedelta:
    """Return how long an answer holds.

    Args:
        given: the option `consent_days`; None for what is right.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or browsers do not keep a cookie for so long; or the policy has a sale or
            sharing, and who refused that would be asked again too soon.
    """
    if given is None:
        return OPTED_OUT_FOR if policy.sells else CONSENT_LIFETIME
    lifetime = days("consent_days", given, most=LONGEST_COOKIE)
    if policy.sells and lifetime < OPTED_OUT_FOR:
        raise ValueError(
            f"consent_days: {given!r} is not valid. The policy has sells = true, and who refused a sale is not asked "
            f"again for 12 months: leave it out, or write at least {OPTED_OUT_FOR.days}."
        )
    return lifetime


def policy_of(given: Policy | str | PathLike[str], history: Iterable[Policy | str | PathLike[str]] = ()) -> Policy:
    """Return the policy that an option means, knowing its earlier versions.

    Raises:
        PolicyError: it cannot be used.
        FileNotFoundError: there is no such file.
    """
    policy = given if isinstance(given, Policy) else Policy.load(given)
    try:
        check_in_force(policy)
    except PolicyError as error:
        raise error.at(file="" if isinstance(given, Policy) else fspath(given)) from None
    return policy.with_history(history)


def ledger_of(given: Ledger | str | None) -> Ledger | None:
    """Return the ledger that an option means; raises ValueError if it means none."""
    ledger = open_ledger(given) if isinstance(given, str) else given
    if ledger is not None and not isinstance(ledger, Ledger):
        raise ValueError(f'ledger: {ledger!r} is no Ledger. Write a URL like "sqlite:///consent.db".')
    return ledger


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value[-1:] != "/" and safe_next(value) is not None and not {"?", "#"} & set(value)


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def _are_texts(value: Any) -> bool:
    return _is_several(value) and all(isinstance(item, str) for item in value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "app": (callable, "It is the ASGI app."),
    "policy": (lambda value: isinstance(value, Policy | str | PathLike), "Write a Policy, or the path of a TOML file."),
    "prefix": (_is_path, 'Write a path like "/privacy-choices", without a slash at its end.'),
    "inject": (_is_boolean, "Write True or False."),
    "settings_link": (_is_boolean, "Write True or False."),
    "edit_csp": (_is_boolean, "Write True or False."),
    "layout": (lambda value: value in LAYOUTS, f"Write one of: {', '.join(LAYOUTS)}."),
    "language": (
        lambda value: value in (None, BY_PATH) or callable(value),
        f'Write "{BY_PATH}", or a function that takes a request and returns a language tag or None.',
    ),
    "undeclared": (lambda value: value in ("hold", "allow"), 'Write "hold" or "allow".'),
    "history": (_is_several, 'Write a list of files or policies, as in ["consent.2025.toml"].'),
    "query_keys": (_are_texts, 'Write a list of names, as in ["utm_*"].'),
    "server_logs": (lambda value: value in (*MODES, "keep"), f"Write one of: {', '.join(MODES)}, keep."),
    "mask_client": (_is_boolean, "Write True or False."),
    "clock": (callable, "It returns seconds since 1970."),
    "make_id": (callable, "It returns a random id."),
}
