"""The table of endpoints: which handler serves which path, and what each handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps

from starlette.responses import Response

from cookie_consent.endpoints.answers.answer import Answers
from cookie_consent.endpoints.answers.cookies import AnswerCookies
from cookie_consent.endpoints.answers.records import AnswerRecords
from cookie_consent.endpoints.answers.tracing import AnswerTracing
from cookie_consent.endpoints.cookie_list import CookieList
from cookie_consent.endpoints.events import EventIntake
from cookie_consent.endpoints.help_desk import HelpDesk
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.kept_data import KeptData
from cookie_consent.endpoints.own_data import OwnData
from cookie_consent.endpoints.own_records import OwnRecords
from cookie_consent.endpoints.past_policies import PastPolicies
from cookie_consent.endpoints.responses import serve_asset, serve_reexport
from cookie_consent.endpoints.settings import SettingsEndpoints
from cookie_consent.endpoints.state import States
from cookie_consent.http.forms import Problem
from cookie_consent.http.site import Site
from cookie_consent.pages.assets import assets, script_address

GPC_PATH = "/.well-known/gpc.json"

Handler = Callable[[Inquiry], Awaitable[Response]]


class Routes:
    """Finds the handler of a request.

    Args:
        parts: the parts of the middleware. Each handler gets only those that it uses.

    Attributes:
        settings: the handlers of the settings page.
        tracing: what answers do to access tracing.
    """

    def __init__(self, parts: Site) -> None:
        policy, own_cookies, ledger, log = parts.policy, parts.own_cookies, parts.ledger, parts.access_log
        kept, past_policies = KeptData(own_cookies, ledger), PastPolicies(policy, ledger)
        cookie_list, states = (
            CookieList(own_cookies, has_log=log is not None),
            States(reloads=parts.reloads),
        )
        self._prefix = parts.prefix
        self.settings = settings = SettingsEndpoints(
            policy,
            own_cookies,
            parts.visits,
            parts.pages,
            kept=kept,
            past_policies=past_policies,
            states=states,
            cookie_list=cookie_list,
        )
        records = _answer_records(parts, cookie_list)
        self.tracing = tracing = AnswerTracing(own_cookies, log)
        answers = _answers(parts, states, records, tracing)
        own_records = OwnRecords(own_cookies, kept=kept, past_policies=past_policies)
        own_data = OwnData(
            policy,
            own_cookies,
            ledger=ledger,
            access_log=log,
            kept=kept,
            past_policies=past_policies,
        )
        events = EventIntake(policy, parts.visits, own_cookies, access_log=log, prefix=parts.prefix)
        desk = HelpDesk(policy, parts.pages, ledger.requests if ledger is not None else None, parts.desk)
        self._table: dict[str, dict[str, Handler]] = {
            "": {"GET": _opening(tracing, settings.settings), "POST": answers.take},
            "/do-not-sell": {"GET": settings.do_not_sell},
            "/transmission": {"GET": settings.transmission},
            "/question": {"GET": _opening(tracing, settings.question, again=True)},
            "/state": {"GET": settings.state},
            "/receipt": {"GET": own_records.receipt},
            "/export": {"GET": own_data.export},
            "/erase": {"POST": own_data.erase},
            "/policy": {"GET": settings.policy},
            "/events": {"POST": events.take},
            "/requests": {"GET": desk.form, "POST": desk.send},
            **_of_assets(script_address(policy.traced)),
        }

    def handler(self, method: str, path: str) -> Handler:
        """Return the handler of a request.

        Args:
            method: the method of the request. GET handlers also serve HEAD.
            path: the path inside the app.

        Raises:
            Problem: 404, there is nothing at this path; 405, the method is not allowed.
        """
        methods = self._methods(path)
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
            raise Problem(405, f"Allowed here: {allowed}.", headers={"allow": allowed})
        return handler

    def _methods(self, path: str) -> dict[str, Handler]:
        if path == GPC_PATH:
            return {"GET": self.settings.gpc}
        rest = path.removeprefix(self._prefix)
        version = rest.removeprefix("/policy/")
        if version and version != rest:
            return {"GET": partial(self.settings.past_policy, version)}
        methods = self._table.get(rest.removesuffix("/"))
        if methods is None:
            raise Problem(404, "There is nothing at this path.")
        return methods


def _answer_records(parts: Site, cookie_list: CookieList) -> AnswerRecords | None:
    if parts.ledger is None or parts.retention is None:
        return None
    return AnswerRecords(parts.ledger, parts.retention, parts.own_cookies, parts.pages, cookie_list, parts.clock)


def _opening(tracing: AnswerTracing, handler: Handler, *, again: bool = False) -> Handler:
    """Return a handler that counts visitors who open the settings; with `again`, only where the address says so."""

    @wraps(handler)
    async def handle(inquiry: Inquiry) -> Response:
        if not again or "again" in inquiry.request.query_params:
            tracing.opened(inquiry)
        return await handler(inquiry)

    return handle


def _answers(parts: Site, states: States, records: AnswerRecords | None, tracing: AnswerTracing) -> Answers:
    return Answers(
        parts.policy,
        parts.visits,
        states,
        records=records,
        cookies=AnswerCookies(parts.own_cookies, parts.gate),
        tracing=tracing,
        lifetime=parts.own_cookies.lifetime,
    )


def _of_assets(track: str) -> dict[str, dict[str, Handler]]:
    """Return the handlers of scripts and style sheets.

    Args:
        track: the address of the script that sends events.
    """
    table: dict[str, dict[str, Handler]] = {}
    for name, asset in assets().items():
        table[f"/assets/{asset.name}"] = {"GET": partial(serve_asset, asset)}
        if name.endswith(".js"):
            table[f"/{name}"] = {"GET": partial(serve_reexport, track if name == "track.js" else asset.name)}
    return table
