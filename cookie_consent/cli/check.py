"""The `check` command: checks a policy file, and compares it with an earlier version."""

from __future__ import annotations

import argparse
import json
import string
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
    JSON,
    POLICY_FILE,
    WRONG_USAGE,
    Command,
    file_errors,
    option,
    print_findings,
    print_note,
)
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.policy.advice import advice, placeholders
from cookie_consent.policy.declarations import labelled
from cookie_consent.policy.diff import (
    EVERYBODY,
    WHO_ACCEPTED,
    announcement,
    asks_again,
    compare,
    hosts_asking_again,
)
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.laws import overdue
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.policy.vendors import vendor_advice

_SAME_IMPORT_NAME = "django-cookie-consent"
_WHOM = {
    EVERYBODY: "everybody",
    WHO_ACCEPTED: "those who had accepted it",
}


def _check(arguments: argparse.Namespace) -> int:
    path = arguments.file
    today = max(datetime.now(UTC).date(), datetime.now().astimezone().date())  # here or in UTC, whichever is later
    try:
        with file_errors(path, "read"):
            policy = policy_in_use(path)
    except PolicyError as error:
        return _report_invalid(path, error, FINDING, as_json=arguments.json)
    summary = _summary(policy)
    unfinished = [str(error) for _, error in placeholders(policy)]
    text = _sentences(path, summary, "still has examples" if unfinished else "is good") + _laws(policy)
    is_material = False
    if arguments.against is not None:
        try:
            with file_errors(arguments.against, "read"):
                old = Policy.load(arguments.against)
        except PolicyError as error:
            return _report_invalid(arguments.against, error, WRONG_USAGE, as_json=arguments.json)
        comparison = summary["against"] = _comparison(old, policy, today)
        text = "\n\n".join([text, *_differences(arguments.against, comparison)])
        is_material = any(change["material"] for change in comparison["changes"]) or "asks_again_on" in comparison
    if warned := [*unfinished, *_warnings(policy, today)]:
        summary["warnings"] = warned
    print_findings(warned)
    print(json.dumps({"file": path, "valid": True, **summary}, ensure_ascii=False) if arguments.json else text)
    return FINDING if unfinished or is_material or (warned and arguments.strict) else GOOD


def _report_invalid(path: str, error: PolicyError, status: int, *, as_json: bool) -> int:
    """Say what is wrong with a policy, and return the exit status."""
    if as_json:
        errors = [
            {"table": one.table, "key": one.key, "problem": one.problem, "remedy": one.remedy} for one in error.errors
        ]
        print(json.dumps({"file": path, "valid": False, "error": str(error), "errors": errors}, ensure_ascii=False))
    print_note(str(error))
    return status


def _summary(policy: Policy) -> dict[str, Any]:
    return {
        "version": policy.version,
        "purposes": [purpose.id for purpose in policy.purposes],
        "cookies": [cookie.name for cookie in policy.cookies],
        "recipients": [recipient.id for recipient in policy.recipients],
        "features": [feature.id for feature in policy.features],
        "services": [service.id for service in policy.services],
        **({"vendors": [mapping.id for mapping in policy.vendors]} if policy.vendors else {}),
        "languages": list(policy.site.languages),
        **({"hosts": list(policy.site.hosts)} if policy.site.hosts else {}),
        **({"laws": [law.code for law in policy.laws]} if policy.laws else {}),
    }


def _laws(policy: Policy) -> str:
    """Say of each law what it does here, by which law, and how sure that is."""
    return "".join(
        f"\nLaw {law.code}, {law.name}: {law.model}, by {law.provisions}. Compared with "
        f"{'the law' if law.certainty == 'primary' else 'what others write about the law'} on {law.reviewed_on}."
        f"{f' Needed all the same: {law.asks_still}.' if law.asks_still else ''}"
        for law in policy.laws
    )


def _sentences(path: str, summary: dict[str, Any], verdict: str) -> str:
    counted = (
        f"{len(names)} {kind if len(names) != 1 else kind.removesuffix('s')} ({', '.join(names)})"
        if names
        else f"no {kind}"
        for kind, names in summary.items()
        if kind != "version"
    )
    return f"{path} {verdict}: version {summary['version']}, with {', '.join(counted)}."


def _comparison(old: Policy, new: Policy, today: date) -> dict[str, Any]:
    return {
        "version": old.version,
        "changes": [asdict(change) for change in compare(old, new)],
        "asks_again": asks_again(old, new),
        "asks_again_without_history": asks_again(old, new, history=False),
        "announcement": announcement(old, new, today),
        **({"asks_again_on": list(hosts)} if (hosts := hosts_asking_again(old, new)) else {}),
        **(
            {"updated_still": str(new.site.updated)}
            if new.site.updated and old.site.updated == new.site.updated
            else {}
        ),
    }


def _differences(old: str, comparison: dict[str, Any]) -> list[str]:
    """Describe in paragraphs what changed since an old file."""
    if not comparison["changes"]:
        return [f"Nothing changed since {old}."]
    material_first = sorted(comparison["changes"], key=lambda change: not change["material"])
    changes = [f"- {'material: ' if change['material'] else ''}{change['what']}" for change in material_first]
    paragraphs = ["\n".join([f"Changed since {old}:", *changes]), _asked_again(old, comparison)]
    if comparison["announcement"]:
        paragraphs += ["Nothing announces it yet. To paste, with your own words:", comparison["announcement"]]
    if day := comparison.get("updated_still"):
        paragraphs += [
            f"The policy says that it was last updated on {day}, as before. Write a new date: updated, in [site]."
        ]
    return paragraphs


def _asked_again(old: str, comparison: dict[str, Any]) -> str:
    asked = [f'"{purpose}" of {_WHOM[whom]}' for purpose, whom in comparison["asks_again"].items()]
    lines = [f"Asked again: {', '.join(asked)}. What was refused stays refused, without being asked."] if asked else []
    if hosts := comparison.get("asks_again_on"):
        lines += [f"Asked again on {', '.join(hosts)}: everybody, since no earlier answer counts there."]
    lines = lines or ["Nobody is asked again."]
    # The cookie holds only digests of what was accepted. Without the old file, less looks like more.
    unknown = [f'"{id_}"' for id_ in comparison["asks_again_without_history"] if id_ not in comparison["asks_again"]]
    if unknown:
        lines += [
            f"The middleware needs history=[{json.dumps(old, ensure_ascii=False)}] for that. Without it,",
            f"those who had accepted {', '.join(unknown)} are asked again too, for less than they had accepted.",
        ]
    return "\n".join(lines)


def _warnings(policy: Policy, today: date) -> list[str]:
    """Return a sentence for each thing that a site should look at though the policy can be used, but placeholders."""
    return [
        *_other_distribution(),
        *advice(policy, today),
        *_own_names(policy),
        *overdue(policy.laws, today).splitlines(),
        *_vague(policy),
        *_retentions(policy),
        *vendor_advice(policy.vendors, policy.recipients),
    ]


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


CHECK = Command(
    (
        option("file", nargs="?", metavar="FILE", default=POLICY_FILE, help="the policy (default: %(default)s)"),
        option(
            "--against",
            metavar="OLD",
            help="compare with an earlier version: what changed, whom that asks again; the exit status is 1 if a "
            "change is material or asks again",
        ),
        option("--strict", action="store_true", help="the exit status is 1 if there is a warning, too"),
        JSON,
    ),
    _check,
    "the policy cannot be used or still has examples of `init`, or a change since OLD is material or asks again",
)
