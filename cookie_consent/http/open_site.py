"""Makes a site of the middleware's options. It is loaded with the first middleware, since it needs stores and babel.

A program that only imports the package, to define routes or a policy, starts sooner. No request waits for a module.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from os import PathLike
from typing import Any

# They format what is written in pages.
import babel.dates
import babel.lists
import babel.numbers  # noqa: F401

from cookie_consent.base.messages import check
from cookie_consent.base.startup import check_app
from cookie_consent.decision.cookie_log import CookieLog
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies, choose_lifetime
from cookie_consent.decision.tokens import Signer
from cookie_consent.decision.visit import Visits
from cookie_consent.http.csp import SecurityFields, security_fields
from cookie_consent.http.foreign_hosts import advice_on_loading
from cookie_consent.http.options import (
    Country,
    Inject,
    Language,
    check_page_options,
    check_prefix,
    read_country,
    read_inject,
    read_language,
)
from cookie_consent.http.required import check_required
from cookie_consent.http.site import Site
from cookie_consent.ledgers import Ledger, ledger_of
from cookie_consent.ledgers.retention import Retention
from cookie_consent.ledgers.signal_records import SignalProofs
from cookie_consent.ledgers.waiting import WaitingRecords
from cookie_consent.pages.inserted import CARD_SALT
from cookie_consent.pages.pages import Pages, choose_intro
from cookie_consent.pages.rendering import Layout
from cookie_consent.policy.advice import advice_at_start
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.sinks import Sink
from cookie_consent.texts.locales import load_locales
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.visitor_lag import VisitorLag

_log = logging.getLogger("cookie_consent.policy")


def open_site(  # noqa: PLR0913 (the options of the middleware, which explains them)
    app: Any,
    policy: Policy | str | PathLike[str],
    secret_keys: str | Sequence[str],
    *,
    prefix: str,
    ledger: Ledger | str | None,
    access_log: Sink | str | PathLike[str] | None,
    inject: Inject,
    layout: Layout,
    settings_link: bool,
    language: Language | None,
    country: Country | None,
    csp: str | None,
    shared_pages: bool,
    undeclared: str,
    history: Iterable[Policy | str | PathLike[str]],
    cookie_prefix: str,
    consent_days: float | None,
    query_keys: Iterable[str],
    desk: Callable[[dict[str, Any]], Any] | None,
    clock: Callable[[], float],
) -> Site:
    """Return the site of a middleware, and log advice on its policy.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another option is invalid.
    """
    check_app(app)
    check("clock", clock, is_valid=callable(clock), remedy="It returns seconds since 1970.")
    # The policy, and the cookies that store visitors' answers.
    policy = policy_in_use(policy, history)
    check_required(app, policy)
    own_cookies = OwnCookies(
        secret_keys,
        prefix=cookie_prefix,
        lifetime=choose_lifetime(consent_days, policy),
        domain=policy.site.domain,
        hosts=policy.site.hosts,
        tells_state=shared_pages,
    )
    gate = Gate(policy, own_cookies.check_names(policy), undeclared=undeclared)
    cookie_log = CookieLog()
    by_country = read_country(country, policy)
    country_of = None if by_country is None else by_country.read_country
    visits = Visits(policy, own_cookies, gate, cookie_log, clock, by_country)
    # What visitors see.
    load_locales(policy.site.languages)
    check_prefix(prefix)
    pages = Pages(
        layout=layout,
        make_id=partial(secrets.token_urlsafe, 16),
        prefix=prefix,
        signer=Signer(secret_keys, CARD_SALT),
        intro=choose_intro(csp, undeclared),
    )
    security = security_fields(policy, csp)
    leaves_out = read_inject(inject)
    limits_browsers = security is not None
    check_page_options(
        inject=inject, settings_link=settings_link, shared_pages=shared_pages, limits_browsers=limits_browsers
    )
    app_language = read_language(language, policy.site.languages)
    check_desk(desk, ledger)
    # Storage comes last, because it opens files and connections: a site that cannot start leaves none behind.
    log = AccessLog.open(access_log, policy, query_keys, clock, VisitorLag(secret_keys), country_of)
    ledger = ledger_of(ledger)
    log_advice_at_start(policy, security, shared_pages=shared_pages)
    return Site(
        policy=policy,
        prefix=prefix,
        own_cookies=own_cookies,
        gate=gate,
        cookie_log=cookie_log,
        visits=visits,
        pages=pages,
        clock=clock,
        ledger=ledger,
        retention=None if ledger is None else Retention(ledger, policy.requests),
        waiting=None if ledger is None else WaitingRecords(ledger, clock),
        signal_proofs=None if ledger is None else SignalProofs(ledger, clock),
        access_log=log,
        desk=desk,
        app_language=app_language,
        security=security,
        inject=inject is not False,
        settings_link=settings_link,
        is_shared=shared_pages,
        leaves_out=leaves_out,
    )


def log_advice_at_start(policy: Policy, security: SecurityFields | None, *, shared_pages: bool) -> None:
    """Log what the site should know of its policy."""
    for sentence in (*advice_at_start(policy), *advice_on_loading(policy, security, shared_pages=shared_pages)):
        _log.warning("%s", sentence)


def check_desk(desk: Any, ledger: Any) -> None:
    """Check the options of the help desk.

    Raises:
        ValueError: one is invalid.
    """
    # The type alone: the value may be an SMTP URL with a password.
    remedy = "Write a function that takes a dict. It can send a mail, as an SMTP URL did."
    check("desk", type(desk), is_valid=desk is None or callable(desk), remedy=remedy)
    remedy = 'Write one that keeps the requests for desk=, as in "sqlite:///consent.db".'
    check("ledger", ledger, is_valid=desk is None or ledger is not None, remedy=remedy)
