"""A site's policy: validated declarations with a version, and what is derived from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from os import PathLike
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import rfc8785

from cookie_consent.base.bounds import LONGEST_KEPT, Cache
from cookie_consent.base.messages import check, is_list
from cookie_consent.policy.declarations import Declarations, find_errors, find_errors_in_force
from cookie_consent.policy.errors import PolicyError, did_you_mean, raise_all
from cookie_consent.policy.laws import Law, laws
from cookie_consent.policy.parts import NECESSARY, Cookie, Feature, Purpose, Recipient, Service, Texts, lists_to_tuples
from cookie_consent.policy.reader import IN_DOCUMENT, read_file, read_tables
from cookie_consent.texts import catalog
from cookie_consent.texts.catalog import Text

VERSION_DIGITS = 16
"""A version is the first 16 hexadecimal digits of the SHA-256 of the policy's document."""
_MAX_NAMES = 1000
_NO_CONCERN_OF_VISITORS = frozenset({"goals", "funnels", "time_zone", "history", "service", "law"})
"""Tables and a key that only reports use, and what holds for some visitors alone. They are never in the document, so
that nobody is asked again because of them."""


# Compared by identity: a policy is in the cache key of each request, and hashing its content would cost more than the
# decision. No slots: cached properties need a `__dict__`.
@dataclass(frozen=True, kw_only=True, eq=False)
class Policy(Declarations):
    """A site's policy. It validates itself when it is made.

    Args:
        history: earlier versions. With them, visitors are not asked again for purposes that only became narrower.
        service: the service whose conditions apply; None for the site's.
        law: the law that applies; None for the first of opting in that the site names, if it names one.

    The other arguments are those of `Declarations`.

    Raises:
        PolicyError: parts contradict each other, or a text is missing in an offered language.
    """

    history: tuple[Policy, ...] = field(default=(), repr=False)
    service: Service | None = field(default=None, repr=False)
    law: Law | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lists_to_tuples(self)
        raise_all(find_errors(self))
        if self.law is None:
            opting_in = (law for law in self.laws if not law.is_opt_out)
            object.__setattr__(self, "law", next(opting_in, None))
        # A site may declare the necessary purpose itself, to describe it in its own words.
        if NECESSARY not in {purpose.id for purpose in self.purposes}:
            necessary = Purpose(
                id=NECESSARY,
                title={tag: str(texts["necessary_title"]) for tag, texts in self.texts.items()},
                description={tag: str(texts["necessary_description"]) for tag, texts in self.texts.items()},
            )
            object.__setattr__(self, "purposes", (necessary, *self.purposes))

    @classmethod
    def load(cls, path: str | PathLike[str], *, history: Iterable[str | PathLike[str] | Policy] = ()) -> Self:
        """Load a policy from a TOML file.

        Args:
            path: the file.
            history: earlier versions of it, as files or policies.

        Raises:
            PolicyError: the file is no valid policy. The message names the file, table and key, and what is right.
            FileNotFoundError: there is no such file.
        """
        return cls(**vars(read_file(path))).with_history(history)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the policy from the plain data that `document` returned.

        Raises:
            PolicyError: the data are no valid policy to this version of the package.
        """
        try:
            return cls(**vars(read_tables(document, written_types=IN_DOCUMENT)))
        except (PolicyError, AttributeError) as error:
            # Another release, or anybody with access to the database, may have written any shape.
            raise PolicyError(f"what was kept is no policy: {error}") from None

    def with_history(self, history: Iterable[str | PathLike[str] | Policy]) -> Self:
        """Return this policy with its earlier versions, given as files or policies."""
        earlier = tuple(old if isinstance(old, Policy) else Policy.load(old) for old in history)
        return replace(self, history=earlier) if earlier else self

    def under(self, service: Service) -> Self:
        """Return this policy with the conditions of one of its services."""
        return replace(self, service=service)

    def under_law(self, law: Law | None) -> Self:
        """Return this policy under the law of another place."""
        return self if law is self.law else replace(self, law=law)

    @cached_property
    def places(self) -> tuple[tuple[str, str, Policy], ...]:
        """Each service's host, path and policy, the most specific one first: host before path."""
        services = sorted(self.services, key=lambda service: (service.host, len(service.path)), reverse=True)
        return tuple((service.host, service.path.rstrip("/"), self.under(service)) for service in services)

    def at(self, path: str, find_host: Callable[[], str]) -> Policy:
        """Return the policy of the most specific service for a page, host before path, or this one.

        Args:
            path: the path of the page.
            find_host: returns its host, in lowercase and without its port.
        """
        for host, beginning, policy in self.places:
            is_here = path == beginning or path.startswith(f"{beginning}/")
            if is_here and host in ("", find_host()):
                return policy
        return self

    @cached_property
    def laws(self) -> tuple[Law, ...]:
        """The laws that the site names."""
        return tuple(laws()[code] for code in self.site.laws)

    @cached_property
    def is_opt_out(self) -> bool:
        """Whether optional purposes run until the visitor refuses them, by the law that applies."""
        return self.law is not None and self.law.is_opt_out

    @cached_property
    def is_by_country(self) -> bool:
        """Whether another law applies where the visitor is: one of opting out holds in its own places alone."""
        return any(law.is_opt_out for law in self.laws)

    @cached_property
    def tells_transmission(self) -> bool:
        """Whether a page tells what is sent to whom, as a law asks."""
        return any(law.notice_language for law in self.laws)

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the policy's document.

        Any change of what concerns visitors gives another version.
        """
        return hashlib.sha256(canonical_json(self.document())).hexdigest()[:VERSION_DIGITS]

    @cached_property
    def in_force(self) -> Mapping[str, Purpose]:
        """Purpose id -> the purpose with the service's overrides."""
        return {purpose.id: self._overlay(purpose) for purpose in self.purposes}

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """The ids of all purposes but the necessary one, in the order of the policy."""
        return tuple(purpose.id for purpose in self.purposes if purpose.id != NECESSARY)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The ids of the purposes that the question is about, in the order of the policy."""
        return tuple(id_ for id_ in self.optional if not self.in_force[id_].refused)

    @cached_property
    def texts(self) -> Mapping[str, Mapping[str, Text]]:
        """Offered language -> text name -> text, in the site's wording or else the shipped one."""
        return {tag: {**catalog.shipped(tag), **self.wording.get(tag, {})} for tag in self.site.languages}

    @cached_property
    def traced(self) -> frozenset[str]:
        """The ids of the purposes that switch access tracing."""
        return frozenset(purpose.id for purpose in self.purposes if purpose.traces)

    @cached_property
    def sells(self) -> tuple[str, ...]:
        """The ids of the purposes that sell or share personal information, in the order of the policy."""
        return tuple(purpose.id for purpose in self.purposes if purpose.sells)

    @cached_property
    def updated(self) -> date | None:
        """The date of the policy's text, or else of its newest announced change; None if it says neither."""
        return self.site.updated or max((change.date for change in self.changes), default=None)

    @cached_property
    def tells_vendors(self) -> bool:
        """Whether pages tell vendors' tags something, or clear what was stored."""
        return bool(self.stored) or any(not mapping.vendor.gate_only for mapping in self.vendors)

    @cached_property
    def stored(self) -> Mapping[str, str]:
        """Optional purpose id -> a regular expression of the keys in the browser's storage that belong to it."""
        patterns: dict[str, list[str]] = {}
        for cookie in self.cookies:
            if cookie.is_stored and cookie.purpose != NECESSARY:
                patterns.setdefault(cookie.purpose, []).append(_match_stars(cookie.name))
        return {purpose: "|".join(keys) for purpose, keys in patterns.items()}

    @cached_property
    def linked_paths(self) -> frozenset[str]:
        """The paths of the pages that the banner links to, where no banner should cover the text.

        The paths are percent-decoded and have no slash at the end.
        """
        links = (self.site.policy_url, *(service.policy_url for service in self.services))
        return frozenset(unquote(urlsplit(link).path).rstrip("/") for link in links if link.startswith("/"))

    @cached_property
    def access_records_kept(self) -> timedelta | None:
        """How long access records are kept, or None if no purpose says.

        It is the shortest retention of any purpose that traces, in the site and all its services, because an access
        record does not name its service.
        """
        parts = [part for place in (self, *map(self.under, self.services)) for part in place.in_force.values()]
        return min((part.retention for part in parts if part.traces and part.retention is not None), default=None)

    @cached_property
    def gpc_refuses(self) -> frozenset[str]:
        """The ids of the purposes that Sec-GPC refuses."""
        # A recipient gets data, which can be a sale also without money (Cal. Civ. Code 1798.140). So GPC refuses each
        # purpose that has one, unless the policy says otherwise.
        shared = {recipient.purpose for recipient in self.recipients}.union(self.sells) - {NECESSARY}
        return frozenset(shared if self.signals.gpc is None else self.signals.gpc)

    @cached_property
    def dnt_refuses(self) -> frozenset[str]:
        """The ids of the purposes that DNT refuses."""
        # Do Not Track is about tracking alone, not about sharing.
        return self.traced if self.signals.dnt is None else frozenset(self.signals.dnt)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[bytes], Cookie]]:
        """What matches the name of each cookie: exact names first, then the longest pattern."""
        cookies = [cookie for cookie in self.cookies if not cookie.is_stored]
        cookies.sort(key=lambda cookie: ("*" not in cookie.name, len(cookie.name)), reverse=True)
        return [(re.compile(_match_stars(cookie.name).encode("ascii"), re.DOTALL), cookie) for cookie in cookies]

    @cached_property
    def _known_names(self) -> Cache[bytes, Cookie | None]:
        return Cache(_MAX_NAMES)

    def find_cookie(self, name: bytes) -> Cookie | None:
        """Return the declaration for a cookie name, or None. A name of more than 256 bytes has none."""
        try:
            return self._known_names[name]
        except KeyError:
            if len(name) > LONGEST_KEPT:
                return None
            declared = next((cookie for pattern, cookie in self._patterns if pattern.fullmatch(name)), None)
            return self._known_names.keep(name, declared)

    def cookies_of(self, purpose: str) -> list[Cookie]:
        """Return the cookies of a purpose."""
        return [cookie for cookie in self.cookies if cookie.purpose == purpose]

    def recipients_of(self, purpose: str) -> list[Recipient]:
        """Return the recipients of a purpose."""
        return [recipient for recipient in self.recipients if recipient.purpose == purpose]

    def features_of(self, purpose: str) -> list[Feature]:
        """Return the features that need a purpose."""
        return [feature for feature in self.features if purpose in feature.purposes]

    def feature(self, feature: str) -> Feature:
        """Return a feature by its id.

        Raises:
            LookupError: there is no such feature. The message names the most similar one.
        """
        known = {declared.id: declared for declared in self.features}
        if feature not in known:
            raise LookupError(f'there is no feature "{feature}". {did_you_mean(feature, known)}')
        return known[feature]

    def no_purpose(self, purpose: str) -> LookupError:
        """Return the error for a purpose that the policy lacks. The message names the known ones."""
        hints = dict.fromkeys(
            [did_you_mean(str(purpose), self.in_force), f"Known: {', '.join(sorted(self.in_force))}."]
        )
        for feature in self.features:
            if feature.id == purpose:
                needed = ", ".join(f'"{needs}"' for needs in feature.purposes)
                hints[f'"{purpose}" is a feature: name its purposes, {needed}.'] = None
        return LookupError(f'there is no purpose "{purpose}". {" ".join(hints)}')

    def document(self) -> dict[str, Any]:
        """Return all of the policy that concerns visitors as plain data for JSON, with durations in seconds."""
        content: dict[str, Any] = make_plain(self)
        return content

    def _overlay(self, purpose: Purpose) -> Purpose:
        override = self.service.purposes.get(purpose.id) if self.service else None
        if override is None:
            return purpose
        return replace(
            purpose,
            title={**purpose.title, **override.title},
            description={**purpose.description, **override.description},
            retention=override.retention or purpose.retention,
            refused=override.refused or purpose.refused,  # a service can refuse, but never allow
        )


def _match_stars(name: str) -> str:
    """Return a regular expression for a name in which * stands for any characters."""
    return ".*".join(map(re.escape, name.split("*")))


def policy_in_use(given: Policy | str | PathLike[str], history: Iterable[Policy | str | PathLike[str]] = ()) -> Policy:
    """Return the policy in force, from the middleware's arguments.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such file.
        ValueError: an argument has the wrong type.
    """
    check(
        "policy",
        given,
        is_valid=isinstance(given, Policy | str | PathLike),
        remedy="Write a Policy, or the path of a TOML file.",
    )
    check(
        "history",
        history,
        is_valid=is_list(history),
        remedy='Write a list of files or policies, as in ["consent.2025.toml"].',
    )
    if isinstance(given, Policy):
        raise_all(find_errors_in_force(given))
        return given.with_history(history)
    return Policy(**vars(read_file(given, is_in_force=True))).with_history(history)


def canonical_json(document: Any) -> bytes:
    """Return the canonical JSON text in UTF-8, which is the same for equal data (RFC 8785).

    Raises:
        rfc8785.CanonicalizationError: canonical JSON cannot represent it, such as a large integer or a lone surrogate.
    """
    return rfc8785.dumps(document)


def make_plain(value: Any) -> Any:
    """Return a value of a policy as data for JSON, with durations in seconds."""
    if is_dataclass(value):
        names = [part.name for part in fields(value) if part.name not in _NO_CONCERN_OF_VISITORS]
        return {name: make_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: make_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [make_plain(item) for item in value]
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return value.isoformat() if isinstance(value, date) else value


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
    for recipient in policy.recipients:
        if recipient.id == id_:
            return Card(
                id=id_,
                title=dict.fromkeys(policy.site.languages, recipient.name),
                purposes=(recipient.purpose,),
            )
    for feature in policy.features:
        if feature.id == id_:
            return Card(id=id_, title=feature.title, purposes=feature.purposes, feature=feature)
    return Card(id=id_, title=policy.in_force[id_].title, purposes=(id_,)) if id_ in policy.optional else None
