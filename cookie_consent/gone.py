"""What is gone, and what to do instead: the error for a name is the second half of its row. Internal."""

from __future__ import annotations

from collections.abc import Iterable

_COOKIE_PREFIX = 'Write cookie_prefix, as in cookie_prefix="shop-", which makes shop-consent and shop-visitor.'
OPTIONS: dict[str, str] = {
    "edit_csp": 'Write csp="enforce", and consent.sources("frame-src") where your app writes its own policy.',
    "accounts": "Keep what consent_of(request) says with the account yourself: docs/features.md shows how.",
    "consent_cookie": _COOKIE_PREFIX,
    "visitor_cookie": _COOKIE_PREFIX,
    "later": "Leave it out: who closes the question has answered nothing, and is asked again on the next page.",
    "inline_style": "Leave it out: where a policy forbids the inline style, the script loads the file.",
    "visitor_days": "Leave it out: a visitor id is valid for 395 days. A shorter retention removes records earlier.",
    "make_id": "Leave it out: ids are random.",
    "mask_client": "Leave it out, and ask is_traced() before you log an address (docs/other-logs.md).",
    "countries": 'Let the proxy name the country, as in country="CF-IPCountry", and the policy a law of opting out.',
}
"""Option of `ConsentMiddleware` -> what to do instead."""

_LAWS = 'Write laws = ["eu", "us-optout", "jp"]: the laws that apply, wherever visitors are (docs/laws.md).'
_A_PURPOSE_EACH = "Give each recipient a purpose of its own: docs/policy.md."
POLICY_NAMES: dict[str, str] = {
    "connection_allowlist": "Leave it out, or have your app send Connection-Allowlist itself.",
    "choice": _A_PURPOSE_EACH,
    "recipient": _A_PURPOSE_EACH,
    "regions": _LAWS,
    "regime": _LAWS,
    "regimes": _LAWS,
    "imports": "Leave the table out: visitors are asked again. docs/moving.md maps the markup of other tools.",
    "records_country": "With a law of opting out in the policy (laws), access records say the country.",
    "exempt": "Ask for consent to the purpose. Counts, which name no visitor, need none.",
}
"""Table or key of the policy file -> what to do instead."""

_GOALS = "Declare goals and funnels in the policy file: --policy names it."
_COMPACT = "Leave it out: compact makes Parquet files alone, which need no zone, and reports read these."
COMMANDS: dict[str, str] = {
    "check --policy": "Name the file alone: cookie-consent check FILE.",
    "check --page": "Write: cookie-consent audit ADDRESS. It visits all pages of the site.",
    "playground": "Write: cookie-consent demo FILE. It shows a site with your policy, as the file is now.",
    "forward": "Let the site write to the database itself, by the URL of its access log.",
    "digest": "Leave it out: a report reads the records. compact makes Parquet files of them, which are read faster.",
    "compact --level": "Leave it out: the level that fits is chosen.",
    "compact --policy": _COMPACT,
    "compact --time-zone": _COMPACT,
    "verify --shortest-keep": "Leave it out: records and removals say for how long they are kept.",
    "requests --open": "Leave it out: requests list has the open ones first.",
    "requests show": "Write requests list REF, which prints all of that request.",
    "report --goals": _GOALS,
    "serve-report --goals": _GOALS,
    "report --path": 'Write --where "page=/the/path*": only sessions that saw such a page, and only views of it.',
    "report --figure": "Write --csv FOLDER: each figure is a file there.",
    "export --vhost": "Make an export for each host: --host.",
    "erase --policy": "Leave it out: each record says itself for how long it is kept.",
}
"""Command, or command and option ("report --goals") -> what to do instead."""

_STREAM = 'Write "postgresql://…" or "clickhouse://…", or a file for Vector or Fluent Bit (docs/own-tools.md).'

SCHEMES: dict[str, str] = {"nats": _STREAM, "tls": _STREAM}
"""URL scheme of an access log -> what to do instead."""


def check_options(names: Iterable[str]) -> None:
    """Check that no option is gone.

    Raises:
        ValueError: one is. The message says what to do instead.
    """
    for name in names:
        if name in OPTIONS:
            raise ValueError(f"{name}: this option is gone. {OPTIONS[name]}")


def gone_from_command(command: str, arguments: Iterable[str]) -> str:
    """Return what to say to the arguments of a command if it or one of its options is gone, else ""."""
    for name in (command, *(f"{command} {argument.partition('=')[0]}" for argument in arguments)):
        if name in COMMANDS:
            return f"{name} is gone. {COMMANDS[name]}"
    return ""
