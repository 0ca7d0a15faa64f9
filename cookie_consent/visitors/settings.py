"""What visitors and programs may see under the prefix: the settings page, and the same as data."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.dates import day_of
from cookie_consent.base.paths import path_inside, split_address
from cookie_consent.base.problem import Problem
from cookie_consent.decision.visit import Visit
from cookie_consent.policy.links import linked_paths
from cookie_consent.visitors.answer import state
from cookie_consent.visitors.installation import Installation
from cookie_consent.visitors.own_data import OwnData
from cookie_consent.visitors.pages.pages import Asking
from cookie_consent.visitors.past_policies import document_of
from cookie_consent.visitors.responses import page


class Disclosure:
    """Answers the requests for what holds, and for what the site says of itself.

    Args:
        installed: the parts that answers come from.
        own_data: knows what is kept about a visitor.
    """

    def __init__(self, installed: Installation, own_data: OwnData) -> None:
        self._installed, self._own_data = installed, own_data
        self._since = day_of(installed.clock())

    async def settings(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the settings page."""
        next_path = safe_next(request.query_params.get("next", "")) or ""
        erased = request.query_params.get("erased")
        notice = "" if erased is None else "erased_nothing" if erased == "nothing" else "erased"
        return await self.settings_page(request, visit, language, next_path=next_path, notice=notice)

    async def settings_page(
        self,
        request: Request,
        visit: Visit,
        language: str,
        *,
        next_path: str,
        notice: str,
        status: int = 200,
    ) -> Response:
        """Return the settings page.

        Args:
            request: who asks for it.
            visit: what is known of the visitor.
            language: an offered language.
            next_path: a path on this site to go on to; "" for none.
            notice: the name of a message; see `Pages.settings`.
            status: the HTTP status code.
        """
        kept = await self._own_data.kept(request, visit)
        if notice.startswith("erased") and kept.records:
            notice += "_not_proof"
        html = self._installed.pages.settings(
            visit.decision,
            base=self._installed.base(request.scope),
            language=language,
            next_path=next_path,
            notice=notice,
            kept=kept,
            own_cookies=self._installed.own_cookies(visit.decision.policy, request.scope),
        )
        return page(html, language, status)

    async def do_not_sell(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the page on which a sale or sharing is refused.

        Raises:
            Problem: 404, the policy has none.
        """
        if not self._installed.policy.sells:
            raise Problem(404, "Nothing is sold or shared here.")
        html = self._installed.pages.do_not_sell(
            visit.decision,
            base=self._installed.base(request.scope),
            language=language,
            next_path=safe_next(request.query_params.get("next", "")) or "",
        )
        return page(html, language)

    async def question(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the question as it stands in a page, for the script to put it there.

        `?next=` is the path of the page, by which a service's own conditions and the app's own language hold,
        `?page_language=` its language, and `?again` says that the visitor called for it, to change the answer. Pages
        that the question links to are to be read without it.
        """
        again = "again" in request.query_params
        next_path = safe_next(request.query_params.get("next", "")) or ""
        if next_path:
            visit = self._installed.visits.read(request.scope, path_inside(next_path, request.scope))
        if not again and unquote(split_address(next_path).path).rstrip("/") in linked_paths(self._installed.policy):
            return Response(status_code=204)
        html = self._installed.pages.banner(
            visit.decision,
            base=self._installed.base(request.scope),
            language=language,
            next_path=next_path,
            asking=Asking(again=again, by_script=request.query_params.get("gpc") == "1"),
        )
        return page(html.decode(), language)

    async def state(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with what holds for the visitor; on a page of a service, with `?page=` and its path."""
        path = request.query_params.get("page", "")
        if path.startswith("/"):
            visit = self._installed.visits.read(request.scope, path_inside(path, request.scope))
        return JSONResponse(state(self._installed, visit.decision))

    async def policy(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with the policy in force."""
        policy = self._installed.policy
        return JSONResponse({"version": policy.version, **policy.document()})

    async def earlier_policy(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer with a policy as it was when somebody answered."""
        version = request.path_params["version"]
        found = await document_of(self._installed, version)
        if found is None:
            raise Problem(404, "There is no such version of the policy.")
        return JSONResponse({"version": version, **found})

    async def gpc(self, request: Request, visit: Visit, language: str) -> Response:
        """Answer whether Global Privacy Control is honoured (its section "Support Resource").

        It was last said on the day of the policy's newest change; where there was none, when this process started.
        """
        policy, today = self._installed.policy, day_of(self._installed.clock())
        changed = max((change.date for change in policy.changes if change.date <= today), default=self._since)
        return JSONResponse({"gpc": policy.signals.gpc != (), "lastUpdate": changed.isoformat()})
