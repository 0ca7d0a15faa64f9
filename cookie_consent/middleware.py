"""The ASGI middleware: reads each request, decides on it and acts on it. Start reading the program here.

Internal: what is public is in docs/reference/public-api.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from cookie_consent import current, gone
from cookie_consent.base.addresses import local_path
from cookie_consent.base.startup import FailsAtStart, fails_at_start, run_lifespan
from cookie_consent.decision.visit import hide_blocked_cookies
from cookie_consent.http.advice import LostPrefix, defer_to_outer
from cookie_consent.http.options import GPC_PATH, Country, Inject
from cookie_consent.http.plan import plain_fields
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.send import Sender
from cookie_consent.logging import set_server_logs
from cookie_consent.pages.pages import Layout
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.sinks import Sink

ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]
"""An ASGI app. Each framework has types of its own for scope, receive and send, so these are not named."""


class ConsentMiddleware(FailsAtStart):
    """Asks visitors for their consent, stores the answer, and enforces it on every request.

    Add it last, so that it is the outermost middleware. It is pure ASGI, and passes scopes that are neither http nor
    websocket to the app. If the app has no lifespan, it answers the server's lifespan events itself.

    Args:
        app: the ASGI app.
        policy: a `Policy`, or the path of a TOML file.
        secret_keys: the keys that sign our cookies: a text of at least 32 characters, or a list of them, oldest first.
            The last one signs; all are accepted.
        prefix: the path of the endpoints.
        ledger: where consent records are kept as proof: a `Ledger`, or a URL such as "sqlite:///consent.db".
        access_log: where the access records of visitors who consented are written: a `Sink`, or the path or URL of one.
        inject: whether to insert the banner into HTML pages while a visitor should be asked, and what else belongs to
            it: the link to the settings page, and what vendors' tags are told. A list of paths, with * as wildcard,
            names the pages to leave out: ["/docs*", "/admin*"]. A function takes a request and returns whether its page
            gets the banner. Cookies are held back on pages that are left out too.
        layout: where the banner is: in a "corner" (on phones at the lower edge), as a "bar" at the lower edge, or as a
            "modal" dialog, which (with JavaScript) covers the page until it is answered or closed.
        settings_link: whether to insert a link to the settings page, which says what holds, at the end of HTML pages.
            Set it to False if your pages have one.
        language: how the app chooses its language: "path" for the first segment of the path (/ja/...), or a function
            that takes a request and returns a language tag or None. Without it, or if it returns None, the page's
            `<html lang>` counts, then Accept-Language.
        country: where the visitor is, if the policy names a law of opting out: the name of a header field that your
            proxy sets, such as "CF-IPCountry", or a function that takes a request and returns a code of ISO 3166 ("JP",
            "CA-QC") or None. The proxy must replace a field that the visitor sent. Access records say the country too.
        csp: with "enforce", every response gets a Content-Security-Policy of ours, beside those of the app, which stay
            as they are: `content_security_policy` of the policy file, or a default. It names the origins of recipients
            whose purposes are allowed, in the directives that the policy file declares. A `content_security_policy` in
            the policy file is sent without this option, too. Without either, browsers load what stands in a page before
            anybody answers.
        shared_pages: whether pages are the same for everybody, so that shared caches may keep them. The question is in
            the page, hidden, and a script shows it. It goes without `csp`.
        undeclared: what to do with cookies that the policy does not declare: "hold" holds them back, "allow" only
            reports them.
        history: earlier versions of the policy, as paths or policies. With them, visitors are not asked again for
            purposes that only became narrower.
        cookie_prefix: what the names of our cookies begin with: "shop-" makes `shop-consent` and `shop-visitor`. Over
            https "__Host-" comes before it, or "__Secure-" on hosts that share answers.
        consent_days: how long an answer is valid, for refusals and grants alike; at most 400 days. The default is 184,
            or 366 if a purpose has `sells = true`, since its refusal must be respected for 12 months.
        query_keys: the query parameters to keep in access records, as names or patterns with *.
        desk: a function that is called for each request and complaint with a dict of its `reference`, `kind` and
            `due_at`. It may be asynchronous. It runs after the response, so it may block.
        server_logs: what to do in the access logs of uvicorn, hypercorn, granian and gunicorn with the lines of
            visitors who did not consent to tracing: "mask" truncates the address and removes user agent and
            query, "drop" drops the lines, "keep" changes nothing. It applies to the whole process; the strictest of
            several middlewares wins.
        clock: for tests: returns seconds since 1970.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another argument is invalid. The message says what would be right.

    Frameworks construct the middleware when the server starts. An error then stops the server with its message.
    """

    @fails_at_start(gone.check_options)
    def __init__(  # noqa: PLR0913 (what a developer may set, in one place)
        self,
        app: ASGIApp,
        policy: Policy | str | PathLike[str],
        secret_keys: str | Sequence[str],
        *,
        prefix: str = "/privacy-choices",
        ledger: Ledger | str | None = None,
        access_log: Sink | str | PathLike[str] | None = None,
        inject: Inject = True,
        layout: Layout = "corner",
        settings_link: bool = True,
        language: str | Callable[[HTTPConnection], str | None] | None = None,
        country: Country | None = None,
        csp: Literal["enforce"] | None = None,
        shared_pages: bool = False,
        undeclared: Literal["hold", "allow"] = "hold",
        history: Iterable[Policy | str | PathLike[str]] = (),
        cookie_prefix: str = "",
        consent_days: float | None = None,
        query_keys: Iterable[str] = ("utm_*",),
        desk: Callable[[dict[str, Any]], Any] | None = None,
        server_logs: Literal["mask", "drop", "keep"] = "mask",
        clock: Callable[[], float] = time.time,
    ) -> None:
        from cookie_consent.endpoints.endpoints import serve_endpoint
        from cookie_consent.http.site import Site

        # This comes first: a site may run on after an error below, and its logs must not identify visitors.
        set_server_logs(server_logs)
        self._site = site = Site(
            app,
            policy,
            secret_keys,
            prefix=prefix,
            ledger=ledger,
            access_log=access_log,
            inject=inject,
            layout=layout,
            settings_link=settings_link,
            language=language,
            country=country,
            csp=csp,
            shared_pages=shared_pages,
            undeclared=undeclared,
            history=history,
            cookie_prefix=cookie_prefix,
            consent_days=consent_days,
            query_keys=query_keys,
            desk=desk,
            clock=clock,
        )
        self.app = app
        self._serve_endpoint = serve_endpoint
        self._is_own = re.compile(rf"(?:{re.escape(prefix)}(?:/.*)?|{re.escape(GPC_PATH)})\Z", re.DOTALL).match
        self._lost_prefix = LostPrefix(site.foreign_hosts.pages, prefix)

    @property
    def prefix(self) -> str:
        """The path of the endpoints, inside of what the app is mounted at."""
        return self._site.prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection: read the request, decide on it, and run the app."""
        if self.refuses is not None or scope["type"] not in ("http", "websocket"):
            await self._serve_other(scope, receive, send)
            return
        site = self._site
        scope = with_plain_fields(scope)
        if site.proof is not None:
            site.proof.retention.run_if_due(site.clock(), again=True)
        if self._lost_prefix.is_open and self._lost_prefix.pages:
            self._lost_prefix.look(scope)
        path = local_path(scope) if scope.get("root_path") else scope["path"]
        is_own = scope["type"] == "http" and self._is_own(path) is not None
        request = current.begin(scope)
        try:
            if is_own:
                await self._serve_endpoint(site, scope, receive, send, path)
            else:
                await self._respond(scope, receive, send, path, request)
        finally:
            request.is_running = False

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, path: str, request: current.CurrentRequest
    ) -> None:
        """Run the app with what the visitor allows."""
        site = self._site
        fields = dict(scope["headers"])
        visit = site.visits.read(scope, path, fields)
        if visit.visible_cookies is not None:
            scope = hide_blocked_cookies(scope, visit)
        consent = RequestConsent(visit.decision, scope, site.pages, site.app_language, reloads=site.reloads)
        # The state is copied, because some servers share one dict between the requests of a connection.
        scope["state"] = {**(scope.get("state") or {}), "consent": consent}
        if request.outer_consent is not None:
            defer_to_outer(request.outer_consent, consent, site.own_cookies)
        trace = None
        if visit.traced or visit.depends_on_signals or visit.saved:
            trace = site.begin_visit(visit, scope, fields, consent, request)
        await Sender(site, scope, fields, path, receive, send, visit, consent, trace).run(self.app)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve other scopes, and a middleware that failed to start."""
        if self.refuses is not None:
            await self.refuses(scope, receive, send)
        elif scope["type"] == "lifespan":
            site = self._site
            await run_lifespan(self.app, scope, receive, send, at_startup=site.run_if_due, at_shutdown=site.close)
        else:
            await self.app(scope, receive, send)


def with_plain_fields(scope: Scope) -> Scope:
    """Return the scope of a request whose header fields are a list of pairs of bytes."""
    fields = scope["headers"]
    if type(fields) is list:
        for name, value in fields:
            if type(name) is not bytes or type(value) is not bytes:
                break
        else:
            return scope
    return {**scope, "headers": plain_fields(fields)}
