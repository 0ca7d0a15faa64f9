"""Tells the help desk that something has come: by a function of the site's, or by mail."""

from __future__ import annotations

import inspect
import logging
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from anyio import fail_after

from cookie_consent.base.clock import HOUR
from cookie_consent.base.dates import rfc3339
from cookie_consent.base.limits import evict_if_full
from cookie_consent.base.process.workers import Workers
from cookie_consent.ledgers.desk_request import DeskRequest, is_address

LONGEST = 20.0
"""So many seconds a notice is waited for."""
MOST_IN_AN_HOUR = 20
"""So many notices are handed on within an hour."""
_AT_A_TIME = 2
_MOST_KINDS = 100
_PORTS = {"smtp": 587, "smtps": 465}
"""Where mail is handed in (RFC 8314 section 3.3)."""
_KNOWN = {"to", "from", "starttls"}
_RIGHT = "smtp://user:password@mail.example.jp:587?to=desk@example.jp&from=site@example.jp"

_LIST = "cookie-consent requests list"

Notice = Mapping[str, Any]
_log = logging.getLogger("cookie_consent")


def notice_of(request: DeskRequest, site: str) -> dict[str, Any]:
    """Return what the desk is told of a request: nothing that the visitor wrote, for mail is read by many."""
    return {
        "reference": request.reference,
        "kind": request.kind,
        "due_at": rfc3339(request.due_at),
        "site": site,
        "read": f"cookie-consent requests show {request.reference}",
    }


def desk_of(given: Callable[[dict[str, Any]], Any] | str | None, *, has_ledger: bool = True) -> Desk | None:
    """Return whom an option means.

    Args:
        given: a function that takes a notice, an SMTP URL, or None for nobody.
        has_ledger: whether there is a ledger, beside which requests are kept.

    Raises:
        ValueError: it is none of these, or there is nothing to tell of; says what would be right.
    """
    if given is None:
        return None
    if not has_ledger:
        raise ValueError("desk: requests are kept beside the ledger, and there is none. Set ledger= too.")
    if isinstance(given, str):
        return Desk(MailBox.of(given).send)
    if not callable(given):
        raise ValueError(
            f'desk: {given!r} is not valid. Write a function that takes a notice, or a URL like "{_RIGHT}".'
        )
    return Desk(given)


class Desk:
    """Hands notices on, on threads of its own, so that one that hangs keeps nothing else waiting.

    Of many only the first of each hour: the last of them says until when no other comes.

    Args:
        tell: takes a notice; it may block, or be asynchronous.
        longest: how many seconds it is waited for.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], Any], longest: float = LONGEST) -> None:
        self._tell, self._longest = tell, longest
        self._workers = Workers(_AT_A_TIME, "help-desk")
        self._said: set[str] = set()
        self._began, self._told = 0.0, 0

    async def tell(self, notice: dict[str, Any], now: float) -> None:
        """Hand a notice on. What goes wrong is logged, once for each kind of error until a notice arrives again.

        Args:
            notice: what is told, and with it `quiet_until`: until when no other is, or None.
            now: seconds since 1970.
        """
        if not 0 <= now - self._began < HOUR:
            self._began, self._told = now, 0
        if self._told >= MOST_IN_AN_HOUR:
            return
        self._told += 1
        is_last = self._told == MOST_IN_AN_HOUR
        notice = {**notice, "quiet_until": rfc3339(self._began + HOUR) if is_last else None}
        try:
            with fail_after(self._longest):
                told = await self._workers.run(partial(self._tell, notice))
                if inspect.isawaitable(told):
                    await told
        except Exception as error:  # noqa: BLE001 (whatever it is, the request is kept)
            self._told -= 1
            self._complain(error)
        else:
            self._said.clear()

    def _complain(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._said:
            evict_if_full(self._said, _MOST_KINDS)
            self._said.add(kind)
            _log.warning(
                "The help desk could not be told of a request; it is kept, and `cookie-consent requests list` shows "
                "it. %s: %s",
                kind,
                str(error) or f"no answer within {self._longest:g} seconds",
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MailBox:
    """Where mail to the desk goes.

    Args:
        host: the mail server.
        port: where it listens.
        encrypted: whether the connection is encrypted from the start.
        starttls: whether it is encrypted as soon as the server offers it.
        user: who logs in; "" for nobody.
        password: with what.
        to: the desk's addresses.
        sender: the site's address.
    """

    host: str
    port: int
    encrypted: bool
    starttls: bool
    user: str
    password: str
    to: tuple[str, ...]
    sender: str

    @classmethod
    def of(cls, url: str) -> MailBox:
        """Read a URL like "smtp://user:password@host:587?to=desk@example.jp&from=site@example.jp".

        Raises:
            ValueError: it cannot be read; says what would be right, and never the password.
        """
        parts, options = _parts(url)
        to = tuple(address.strip() for address in options["to"].split(","))
        return cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            encrypted=parts.scheme == "smtps",
            starttls=options.get("starttls") != "no",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            to=to,
            sender=options.get("from", to[0]),
        )

    def send(self, notice: Notice) -> None:
        """Mail a notice.

        Raises:
            OSError: the server cannot be reached, or refuses it (`smtplib.SMTPException`).
        """
        secure, wait = ssl.create_default_context(), LONGEST / 2
        if self.encrypted:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=wait, context=secure)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=wait)
        with server:
            encrypted = self.encrypted or self._encrypt(server, secure)
            if self.user:
                if self.starttls and not encrypted:
                    raise smtplib.SMTPNotSupportedError(
                        f"{self.host} offers no STARTTLS, and a password is not sent over a line that others can read. "
                        "Write smtps://, or ?starttls=no if nobody can."
                    )
                server.login(self.user, self.password)
            server.send_message(self.mail(notice), self.sender, self.to)

    def mail(self, notice: Notice) -> EmailMessage:
        """Return the mail that says what a notice says."""
        mail = EmailMessage()
        site = " ".join(str(notice["site"]).split())
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Subject"] = f"{site}: {notice['kind']}, {notice['reference']}, due {notice['due_at'][:10]}"
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=self.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody who is away answers to it
        mail.set_content(
            f"Somebody has sent a request or a complaint to {site}.\n\n"
            f"Reference: {notice['reference']}\n"
            f"Kind:      {notice['kind']}\n"
            f"Due:       {notice['due_at']}\n\n"
            f"What it says is not in this mail. Read it with\n\n    {notice['read']}\n{_quiet(notice['quiet_until'])}"
        )
        return mail

    def _encrypt(self, server: smtplib.SMTP, secure: ssl.SSLContext) -> bool:
        server.ehlo()
        if not self.starttls or not server.has_extn("starttls"):
            return False
        server.starttls(context=secure)
        server.ehlo()
        return True


def _quiet(until: str | None) -> str:
    if until is None:
        return ""
    return f"\nMany have come. Until {until} no other mail will; see what has come with\n\n    {_LIST}\n"


def _parts(url: str) -> tuple[SplitResult, dict[str, str]]:
    """Take a URL apart; raises ValueError where it cannot mean a mail box. It may hold a password, and is not shown."""
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0 and parts.path in ("", "/") and not parts.fragment
    except ValueError:
        named = None
    if not named:
        raise _wrong(
            "it has to name a mail server, and perhaps a port; in a password, / ? # @ % are written as %2F ..."
        )
    if parts.scheme not in _PORTS:
        raise _wrong(f"there are {' and '.join(f'{scheme}://' for scheme in _PORTS)}")
    options = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
    if options.keys() - _KNOWN or options.get("starttls", "no") != "no":
        raise _wrong(
            'after the "?" there may be to=, from= and starttls=no (STARTTLS is used where the server offers it)'
        )
    for address in (*options.get("to", "").split(","), *([options["from"]] if "from" in options else ())):
        if not is_address(address.strip()):
            raise _wrong(f"{address!r} is no mail address; to= has to name one")
    return parts, options


def _wrong(why: str) -> ValueError:
    return ValueError(f"desk: the URL cannot be used: {why}. Write it like {_RIGHT}")
