"""The settings page, the question, and the same as data for programs."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from cookie_consent.base.addresses import path_inside, split_address
from cookie_consent.base.clock import day_of
from cookie_consent.decision.decision import refused_in_storage
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.visit import Visits
from cookie_consent.endpoints.cookie_list import CookieList
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.kept_data import KeptData
from cookie_consent.endpoints.past_policies import PastPolicies
from cookie_consent.endpoints.responses import page
from cookie_consent.endpoints.state import States
from cookie_consent.http.forms import Problem
from cookie_consent.pages.pages import Pages
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.policy.policy import Policy


class SettingsEndpoints:
    """Serves the settings page, the visitor's state, and the policy.

    Args:
        policy: the site's policy.
        own_cookies: the middleware's own cookies.
        visits: reads the decision for another page.
        pages: renders the pages.
        kept: finds what is stored about a visitor.
        past_policies: finds earlier versions of the policy.
        states: returns a decision as data.
        cookie_list: lists the middleware's own cookies.
    """

    def __init__(  # noqa: PLR0913 (each page has its own parts)
        self,
        policy: Policy,
        own_cookies: OwnCookies,
        visits: Visits,
        pages: Pages,
        *,
        kept: KeptData,
        past_policies: PastPolicies,
        states: States,
        cookie_list: CookieList,
    ) -> None:
        self._policy = policy
        self._own_cookies = own_cookies
        self._visits = visits
        self._pages = pages
        self._kept = kept
        self._past_policies = past_policies
        self._states = states
        self._cookie_list = cookie_list

    async def settings(self, inquiry: Inquiry) -> Response:
        """Respond with the settings page."""
        erased = inquiry.request.query_params.get("erased")
        notice = "" if erased is None else "erased_nothing" if erased == "nothing" else "erased"
        if inquiry.visit.saved and inquiry.visit.decision.record:
            notice = "saved"
        response = await self.settings_page(inquiry, next_path=inquiry.next_path, notice=notice)
        return self._said(inquiry, response)

    def _said(self, inquiry: Inquiry, response: Response) -> Response:
        """Return the response of a page that has said that an answer is saved, so that no page says it again."""
        if inquiry.visit.saved:
            response.raw_headers.append((b"set-cookie", self._own_cookies.saved.forget(secure=inquiry.place.secure)))
        return response

    async def settings_page(self, inquiry: Inquiry, *, next_path: str, notice: str, status: int = 200) -> Response:
        """Return the response with the settings page.

        Args:
            inquiry: the request.
            next_path: a path on this site to return to; "" for none.
            notice: the name of a message; see `Pages.settings`.
            status: the HTTP status code.
        """
        kept = await self._kept.summary(inquiry)
        if notice.startswith("erased") and kept.records:
            notice += "_not_proof"
        html = self._pages.settings(
            inquiry.visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            next_path=next_path,
            notice=notice,
            kept=kept,
            counts_on=inquiry.counts_on,
            own_cookies=self._cookie_list.under(inquiry.visit.decision.policy, base=inquiry.base, place=inquiry.place),
        )
        return page(html, inquiry.language, status, has_script=bool(refused_in_storage(inquiry.visit.decision)))

    async def do_not_sell(self, inquiry: Inquiry) -> Response:
        """Respond with the page for refusing a sale or sharing.

        Raises:
            Problem: 404, the policy declares neither.
        """
        if not self._policy.sells:
            raise Problem(404, "Nothing is sold or shared here.")
        html = self._pages.do_not_sell(
            inquiry.visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            next_path=inquiry.next_path,
        )
        return self._said(inquiry, page(html, inquiry.language))

    async def transmission(self, inquiry: Inquiry) -> Response:
        """Respond with the page that tells what is sent to whom.

        Raises:
            Problem: 404, the laws that the policy names ask for no such page.
        """
        if not self._policy.tells_transmission:
            raise Problem(404, "There is no such page here.")
        html = self._pages.transmission(
            inquiry.visit.decision, base=inquiry.base, language=inquiry.language, next_path=inquiry.next_path
        )
        return page(html, inquiry.language)

    async def question(self, inquiry: Inquiry) -> Response:
        """Respond with the question, for the script to insert into a page.

        `?next=` is the path of the page, and selects the conditions of its service. `?page_language=` is the language
        of the page. `?again` says that the visitor opened the question to change an answer. Else there is none (204)
        where nothing is to be asked, and for pages that the question links to: visitors read them before they answer.
        """
        again = "again" in inquiry.request.query_params
        visit, next_path = inquiry.visit, inquiry.next_path
        if next_path:
            visit = self._visits.read(inquiry.request.scope, path_inside(next_path, inquiry.request.scope))
        is_linked = unquote(split_address(next_path).path).rstrip("/") in self._policy.linked_paths
        if not again and (is_linked or not visit.should_ask):
            return Response(status_code=204)
        html = self._pages.banner(
            visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            next_path=next_path,
            options=QuestionOptions(
                again=again,
                by_script=inquiry.request.query_params.get("gpc") == "1",
            ),
        )
        return page(html.decode(), inquiry.language)

    async def state(self, inquiry: Inquiry) -> Response:
        """Respond with the visitor's state as JSON; with `?page=`, the state on the page at that path."""
        visit, path = inquiry.visit, inquiry.request.query_params.get("page", "")
        if path.startswith("/"):
            visit = self._visits.read(inquiry.request.scope, path_inside(path, inquiry.request.scope))
        response = JSONResponse(self._states.of(visit.decision))
        if self._own_cookies.state is not None:
            fields = self._own_cookies.state.fields(
                inquiry.visit.decision, inquiry.cookies, inquiry.now, place=inquiry.place
            )
            response.raw_headers += [(b"set-cookie", field) for field in fields]
        return response

    async def policy(self, inquiry: Inquiry) -> Response:
        """Respond with the current policy."""
        policy = self._policy
        return JSONResponse({"version": policy.version, **policy.document()})

    async def past_policy(self, version: str, inquiry: Inquiry) -> Response:
        """Respond with an earlier version of the policy.

        Raises:
            Problem: 404, the version is unknown; 503, the ledger cannot be reached.
        """
        document = await self._past_policies.document(version)
        if document is None:
            raise Problem(404, "There is no such version of the policy.")
        return JSONResponse({"version": version, **document})

    async def gpc(self, inquiry: Inquiry) -> Response:
        """Respond with the site's GPC support resource (Global Privacy Control, "GPC Support Resource").

        Its date is the newest that the policy declares and that is not in the future, or else today.
        """
        today = day_of(inquiry.now)
        declared = [self._policy.site.updated, *(change.date for change in self._policy.changes)]
        updated = max((day for day in declared if day is not None and day <= today), default=today)
        return JSONResponse({"gpc": self._policy.signals.gpc != (), "lastUpdate": updated.isoformat()})
