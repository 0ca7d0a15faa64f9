"""The parts of a policy. Each part checks itself when it is made and raises `PolicyError`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.clock import TIME_ZONE_REMEDY, time_zone
from cookie_consent.base.cookies import LONGEST_ATTRIBUTE
from cookie_consent.policy.errors import PolicyError, Row, did_you_mean, raise_all, select_errors
from cookie_consent.policy.laws import LawCode
from cookie_consent.policy.syntax import (
    COOKIE_NAME,
    HOST,
    Check,
    Country,
    Fault,
    Host,
    Id,
    Language,
    Link,
    Name,
    Origin,
    Path,
    check_hosts,
    rule,
)


class CheckedPart:
    """A frozen dataclass that raises one PolicyError for all that is wrong with it."""

    __slots__ = ()

    def __post_init__(self) -> None:
        lists_to_tuples(self)
        raise_all(self.errors())

    def errors(self) -> Iterator[PolicyError]:
        """Yield what is wrong with the part by itself. The errors name keys, but no table."""
        kind: Any = type(self)
        checks = _list_checks(kind)
        for declared in fields(self):  # type: ignore[arg-type]
            value = getattr(self, declared.name)
            check = checks.get(declared.name)
            if check and value != declared.default:
                for item in value if isinstance(value, tuple) else (value,):
                    yield from (PolicyError(*fault, key=declared.name) for fault in check(item))
        yield from select_errors(self._rows())

    def _rows(self) -> Iterator[Row]:
        """Yield what the annotations do not say."""
        yield from ()


@cache
def _list_checks(kind: Any) -> Mapping[str, Check]:
    """Return key -> the check in its annotation."""
    checks: dict[str, Any] = {}
    for key, hint in get_type_hints(kind, include_extras=True).items():
        for annotated in (hint, *get_args(hint)):
            for check in filter(callable, getattr(annotated, "__metadata__", ())):
                checks[key] = check
    return checks


def lists_to_tuples(part: Any) -> None:
    """Replace the lists in a part's fields by tuples, so that it is immutable and hashable."""
    for declared in fields(part):
        value = getattr(part, declared.name)
        if isinstance(value, list):
            object.__setattr__(part, declared.name, tuple(value))


NECESSARY = "necessary"
LONGEST_COOKIE = timedelta(days=400)
"""Browsers may cap a cookie's lifetime at 400 days (RFC 6265bis section 5.5)."""
VISITOR_LIFETIME = timedelta(days=395)
"""How long a visitor id is valid: 13 months, not renewed on later visits (CNIL, audience measurement)."""
LONGEST_PURPOSE_ID = 27
"""Keeps the consent cookie for eight purposes under 400 bytes."""
DIRECTIVES = (
    "child", "connect", "font", "form-action", "frame", "img", "manifest", "media", "object", "script", "style",
    "worker",
)  # fmt: skip

Texts = Mapping[str, str]
"""A text in several languages: language tag -> text."""


def _check_time_zone(name: str) -> Iterator[Fault]:
    try:
        time_zone(name)
    except ValueError:
        yield f'there is no time zone "{name}"', TIME_ZONE_REMEDY


Directive = Annotated[
    str, rule(DIRECTIVES.__contains__, "is no directive", lambda word: did_you_mean(word, DIRECTIVES))
]
Recipients = Annotated[
    str, rule("none".__eq__, "is not valid here", 'Write "none", or declare each in [[recipients]].')
]
Kind = Annotated[str, rule("storage".__eq__, "is not valid here", 'Write "cookie" or "storage".')]
Domain = Annotated[
    str | None,
    rule(
        lambda name: HOST.fullmatch(name.removeprefix(".")), "is not valid here", 'Write a host name like "example.jp".'
    ),
]
_PATH = re.compile(r"/[!-:<-~]*")
_check_text = rule(str.strip, "is empty", "Write it, or leave the whole table out.")
_check_cookie_name = rule(
    COOKIE_NAME.fullmatch, "is not valid here", "Cookie names have no spaces, no ; , = and no quotes (RFC 6265)."
)
SignalRule = Annotated[tuple[str, ...] | None, {"default": None, "ignore": ()}]
"""Ids of purposes, or one of these words in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority(CheckedPart):
    """The data protection authority that visitors can complain to.

    Args:
        name: its name, per language.
        url: the https:// address of its page for complaints.
    """

    name: Texts
    url: Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(CheckedPart):
    """Who asks for consent.

    Args:
        name: the site's name as visitors know it.
        controller: the legal name of who is responsible for the data.
        contact: a mail address or an https:// address for requests and complaints.
        data_protection_officer: where the data protection officer is reached, in the same way; "" for none.
        prevailing_language: the language whose texts are binding if translations differ.
        languages: tags of the offered languages. Every text must exist in each of them.
        policy_url: the path or address of the site's privacy policy, or "".
        domain: the domain in which one answer counts on several hosts; "" if each host asks for itself.
        hosts: those hosts, the domain itself or below it.
        updated: the date of the policy's text; None for the date of its newest announced change.
        laws: codes of the laws that apply to the site, such as "eu".
        authority: the authority that visitors can complain to, or None.
        time_zone: the time zone of reports' days and hours, by its IANA name; "" for UTC.
        recipients: "none" if no third party gets data, which pages then say; "" says nothing.
    """

    name: Name
    controller: Name
    contact: Name
    data_protection_officer: str = ""
    prevailing_language: str
    languages: tuple[Language, ...]
    policy_url: Link = ""
    domain: str = ""
    hosts: tuple[str, ...] = ()
    updated: date | None = None
    laws: tuple[LawCode, ...] = ()
    authority: Authority | None = None
    time_zone: Annotated[str, _check_time_zone] = ""
    recipients: Recipients = ""

    def _rows(self) -> Iterator[Row]:
        if self.domain or self.hosts:
            yield from check_hosts(self.domain, self.hosts)
        yield from (
            (
                len(set(self.languages)) < len(self.languages),
                "languages",
                "a language is listed twice",
                "List each once.",
            ),
            (
                self.prevailing_language not in self.languages,
                "prevailing_language",
                f'the prevailing language "{self.prevailing_language}" is not offered',
                f"Add it to languages, or choose one of: {', '.join(self.languages) or 'none listed'}.",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose(CheckedPart):
    """One reason to store or read something on the visitor's device; the unit of consent.

    Args:
        id: lowercase letters, digits, - and _, a letter first; at most 27 characters.
        title: a few words per language.
        description: what is done and why, per language.
        retention: how long the collected data are kept; None if nothing is kept. Required in the policy in force for a
            purpose that traces.
        traces: whether visitors who allow this purpose are traced.
        refused: whether it is off whatever the visitor answered. A service's override sets it.
        erase_on_withdrawal: whether a withdrawal erases the access records.
        sells: whether it is a sale or sharing of personal information (Cal. Civ. Code 1798.140). Then it has an opt-out
            page, and a visitor who refused is not asked again for 12 months.
        data: which kinds of data it uses, per language.
        legal_basis: the legal basis, per language; empty for the visitor's consent.
    """

    id: Id
    title: Texts
    description: Texts
    retention: timedelta | None = None
    traces: bool = False
    refused: bool = False
    erase_on_withdrawal: bool = False
    sells: bool = False
    data: Texts = field(default_factory=dict)
    legal_basis: Texts = field(default_factory=dict)

    def _rows(self) -> Iterator[Row]:
        is_necessary = self.id == NECESSARY
        yield from (
            (
                len(self.id) > LONGEST_PURPOSE_ID,
                "id",
                f"the id {self.id!r} has {len(self.id)} characters",
                f"Use at most {LONGEST_PURPOSE_ID}, so that answers fit into a small cookie.",
            ),
            (
                is_necessary and (self.traces or self.refused),
                "traces",
                "the necessary purpose can neither trace nor be refused",
                "Make it another purpose.",
            ),
            (
                is_necessary and self.sells,
                "sells",
                "a sale or sharing is never without consent",
                "Make it another purpose.",
            ),
            (
                self.erase_on_withdrawal and not self.traces,
                "erase_on_withdrawal",
                "nothing is recorded that could be erased",
                "Leave it out, or write traces = true.",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie(CheckedPart):
    """A cookie that the site sets or reads, or what a script of it keeps in the browser's storage.

    Args:
        name: its exact name, or a pattern in which * stands for any characters; at most 256 characters.
        purpose: the id of its purpose.
        duration: its lifetime, at most 400 days; None for the browser session. If the app sets a longer lifetime, the
            gate shortens it.
        path: its path as the browser sees it. A refusal expires the cookie there.
        domain: its Domain attribute; None if it is host-only.
        description: what it is for, per language.
        kind: "cookie", or "storage" for a key of the browser's localStorage or sessionStorage.
    """

    name: str
    purpose: str
    duration: Annotated[timedelta | None, {"session": None}] = None
    path: str = "/"
    domain: Domain = None
    description: Texts = field(default_factory=dict)
    kind: Kind = "cookie"

    @property
    def is_stored(self) -> bool:
        """Whether it is a key of the browser's storage, and no cookie."""
        return self.kind == "storage"

    def _rows(self) -> Iterator[Row]:
        check = _check_text if self.is_stored else _check_cookie_name
        yield from ((True, "name", *fault) for fault in check(self.name))
        days = (self.duration or timedelta()) / timedelta(days=1)
        key = "path" if self.domain is None else "domain"
        has_place = self.domain is not None or self.path != "/"
        yield from (
            (
                len(self.name) > LONGEST_KEPT,
                "name",
                f"a name of {len(self.name)} characters is longer than the gate reads",
                f"Write {LONGEST_KEPT} at most.",
            ),
            (
                set(self.name) == {"*"},
                "name",
                f"{self.name!r} would declare every cookie",
                'Name the cookies, or use undeclared="allow" while you collect them.',
            ),
            (
                days > LONGEST_COOKIE.days and not self.is_stored,
                "duration",
                f"a lifetime of {days:.0f} days is over the 400 days that browsers keep a cookie",
                'Write "400 days" at most (RFC 6265bis, section 5.5).',
            ),
            (
                not _PATH.fullmatch(self.path),
                "path",
                f"{self.path!r} is no path",
                'It begins with "/" and has no spaces or ;.',
            ),
            (
                len(self.path) > LONGEST_ATTRIBUTE,
                "path",
                f"a path of {len(self.path)} characters is longer than browsers read",
                f"Write {LONGEST_ATTRIBUTE} at most (RFC 6265bis, section 5.6).",
            ),
            (
                has_place and self.is_stored,
                key,
                "the browser's storage is that of the whole host",
                "Leave the line out.",
            ),
            (
                has_place and self.name.lower().startswith("__host-"),
                key,
                "browsers take a __Host- cookie only without domain and with path /",
                "Leave domain and path out (RFC 6265bis, section 4.1.3.2).",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient(CheckedPart):
    """A third party that gets data once its purpose is granted.

    Args:
        id: lowercase letters, digits, - and _.
        name: its legal name.
        purpose: the id of the purpose it serves.
        origins: the origins it is reached at, as scheme://host[:port]; the host may begin with `"*."`.
        receives: what data it gets, per language.
        directives: the Content-Security-Policy directives that its origins belong in, without "-src".
        policy_url: the address of its privacy policy, or "".
        country: where it handles the data, as a code of ISO 3166-1 ("US"); "" if the policy does not say.
        safeguard: what protects the data in a country without the protection of the site's own, per language.
        use: what the recipient itself uses the data for, per language.
    """

    id: Id
    name: Name
    purpose: str
    receives: Texts
    origins: tuple[Origin, ...] = ()
    directives: tuple[Directive, ...] = ()
    policy_url: Link = ""
    country: Country = ""
    safeguard: Texts = field(default_factory=dict)
    use: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature(CheckedPart):
    """Something the site offers that needs purposes, and its fallback.

    Args:
        id: lowercase letters, digits, - and _.
        title: its name, per language.
        purposes: ids of the purposes that it needs, all of them.
        fallback: the text to show instead, per language.
    """

    id: Id
    title: Texts
    purposes: tuple[str, ...]
    fallback: Texts

    def _rows(self) -> Iterator[Row]:
        yield not self.purposes, "purposes", "a feature needs at least one purpose", "Name what it needs."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePurpose(CheckedPart):
    """A service's overrides of one purpose. What it leaves out stays as the site has it.

    Args:
        title: its title there, per language.
        description: what is done there and why, per language.
        retention: how long data is kept there; at most as long as the site keeps it.
        refused: whether it is never used there, whatever the visitor answers.
    """

    title: Texts = field(default_factory=dict)
    description: Texts = field(default_factory=dict)
    retention: timedelta | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(CheckedPart):
    """A part of the site with conditions of its own, which take priority over the site's.

    Args:
        id: lowercase letters, digits, - and _.
        path: its path prefix; "" for a whole host.
        host: its host; "" for any.
        policy_url: the path or address of its terms, or "".
        title: its name, per language.
        purposes: purpose id -> the override. It can refuse a purpose, but never allow one.
    """

    id: Id
    path: Path = ""
    host: Host = ""
    policy_url: Link = ""
    title: Texts = field(default_factory=dict)
    purposes: Mapping[str, ServicePurpose] = field(default_factory=dict)

    def _rows(self) -> Iterator[Row]:
        yield (
            not (self.path or self.host),
            "path",
            "a service is found by its path or its host",
            'Write path = "/…" or host = "…".',
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(CheckedPart):
    """An announced change of the policy.

    Args:
        date: the day of the change.
        text: what changed, per language.
    """

    date: date
    text: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules(CheckedPart):
    """What each signal of the browser refuses.

    Args:
        gpc: ids of the purposes that Sec-GPC refuses. None means those that have recipients or sell; ()
            ignores the signal.
        dnt: ids of the purposes that DNT refuses. None means those that trace; () ignores the signal.
    """

    gpc: SignalRule = None
    dnt: SignalRule = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules(CheckedPart):
    """How long consent records are kept as proof.

    Args:
        keep: how long after the consent has ended. The default is three years, a common limitation period for claims.
    """

    keep: timedelta = timedelta(days=1095)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules(CheckedPart):
    """Deadlines and retention for visitors' requests and complaints.

    Args:
        due: the time to reply in. The default is a month (GDPR Article 12(3)).
        keep_address: how long a mail address is kept after the reply.
        keep: how long a request is kept after the reply; at least `keep_address`.

    Raises:
        PolicyError: `keep_address` is longer than `keep`.
    """

    due: timedelta = timedelta(days=30)
    keep_address: timedelta = timedelta(days=30)
    keep: timedelta = timedelta(days=1095)

    def _rows(self) -> Iterator[Row]:
        yield (
            self.keep_address > self.keep,
            "keep_address",
            "a mail address cannot be kept for longer than its request",
            "Write a shorter time.",
        )
