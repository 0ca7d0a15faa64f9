"""Notifies the help desk of new requests, by a function of the site or by mail."""

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
"""The time limit for a notice, in seconds."""
MAX_PER_HOUR = 20
"""The largest number of notices in an hour."""
_AT_A_TIME = 2
_MAX_KINDS = 100
_PORTS = {"smtp": 587, "smtps": 465}
"""The default ports for mail submission (RFC 8314, section 3.3)."""
_KNOWN = {"to", "from", "starttls"}
_RIGHT = "smtp://user:password@mail.example.jp:587?to=desk@example.jp&from=site@example.jp"

_LIST = "cookie-consent requests list"

Notice = Mapping[str, Any]
_log = logging.getLogger("cookie_consent")


def notice_of(request: DeskRequest, site: str) -> dict[str, Any]:
    """Return the notice of a request. It contains nothing that the visitor wrote, because mail can be read by many."""
    return {
        "reference": request.reference,
        "kind": request.kind,
        "due_at": rfc3339(request.due_at),
        "site": site,
        "read": f"cookie-consent requests show {request.reference}",
    }


def desk_notifier_of(
    given: Callable[[dict[str, Any]], Any] | str | None, *, has_ledger: bool = True
) -> DeskNotifier | None:
    """Return the desk for the option `desk`.

    Args:
        given: a function that takes a notice, an SMTP URL, or None for no notices.
        has_ledger: whether there is a ledger, which stores the requests.

    Raises:
        ValueError: the option is not valid, or there is no ledger; the message says what is right.
    """
    if given is None:
        return None
    if not has_ledger:
        raise ValueError("desk: requests are kept beside the ledger, and there is none. Set ledger= too.")
    if isinstance(given, str):
        return DeskNotifier(MailBox.of(given).send)
    if not callable(given):
        raise ValueError(
            f'desk: {given!r} is not valid. Write a function that takes a notice, or a URL like "{_RIGHT}".'
        )
    return DeskNotifier(given)


class DeskNotifier:
    """Sends notices on threads of its own, so that a slow mail server delays nothing else.

    Only the first 20 notices of an hour are sent. The last of them says until when no more follow.

    Args:
        tell: takes a notice; may block or be asynchronous.
        longest: the time limit for a notice, in seconds.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], Any], longest: float = LONGEST) -> None:
        self._tell, self._longest = tell, longest
        self._workers = Workers(_AT_A_TIME, "help-desk")
        self._logged: set[str] = set()
        self._began, self._sent = 0.0, 0

    async def notify(self, notice: dict[str, Any], now: float) -> None:
        """Send a notice. An error is logged once for its kind, until a notice succeeds again.

        Args:
            notice: the notice. `quiet_until` is added: until when no more notices follow, or None.
            now: seconds since 1970.
        """
        if not 0 <= now - self._began < HOUR:
            self._began, self._sent = now, 0
        if self._sent >= MAX_PER_HOUR:
            return
        self._sent += 1
        is_last = self._sent == MAX_PER_HOUR
        notice = {**notice, "quiet_until": rfc3339(self._began + HOUR) if is_last else None}
        try:
            with fail_after(self._longest):
                result = await self._workers.run(partial(self._tell, notice))
                if inspect.isawaitable(result):
                    await result
        except Exception as error:  # noqa: BLE001 (the request is stored, whatever fails here)
            # A notice that failed uses up none of the hour's.
            self._sent -= 1
            self._log_error(error)
        else:
            self._logged.clear()

    def _log_error(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._logged:
            evict_if_full(self._logged, _MAX_KINDS)
            self._logged.add(kind)
            _log.warning(
                "The help desk could not be told of a request; it is kept, and `cookie-consent requests list` shows "
                "it. %s: %s",
                kind,
                str(error) or f"no answer within {self._longest:g} seconds",
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MailBox:
    """The mail server and the addresses for notices.

    Args:
        host: the mail server.
        port: its port.
        encrypted: whether to use TLS from the start.
        starttls: whether to use STARTTLS if the server offers it.
        user: the user name to log in with; "" to not log in.
        password: the password.
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
        """Parse a URL like "smtp://user:password@host:587?to=desk@example.jp&from=site@example.jp".

        Raises:
            ValueError: the URL is not valid; the message says what is right, and never contains the password.
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
            OSError: the server cannot be reached, or refuses the mail (`smtplib.SMTPException`).
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
        """Return the mail for a notice."""
        mail = EmailMessage()
        site = " ".join(str(notice["site"]).split())
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Subject"] = f"{site}: {notice['kind']}, {notice['reference']}, due {notice['due_at'][:10]}"
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=self.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # no automatic replies, please (RFC 3834)
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
    """Return the parts of a URL and its options.

    Raises:
        ValueError: it names no mail box. The message leaves out the URL, which may contain a password.
    """
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0 and parts.path in ("", "/") and not parts.fragment
    except ValueError:
        named = None
    if not named:
        raise _invalid_url(
            "it has to name a mail server, and perhaps a port; in a password, / ? # @ % are written as %2F ..."
        )
    if parts.scheme not in _PORTS:
        raise _invalid_url(f"there are {' and '.join(f'{scheme}://' for scheme in _PORTS)}")
    options = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
    if options.keys() - _KNOWN or options.get("starttls", "no") != "no":
        raise _invalid_url(
            'after the "?" there may be to=, from= and starttls=no (STARTTLS is used where the server offers it)'
        )
    for address in (*options.get("to", "").split(","), *([options["from"]] if "from" in options else ())):
        if not is_address(address.strip()):
            raise _invalid_url(f"{address!r} is no mail address; to= has to name one")
    return parts, options


def _invalid_url(why: str) -> ValueError:
    return ValueError(f"desk: the URL cannot be used: {why}. Write it like {_RIGHT}")
