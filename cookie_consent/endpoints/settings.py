"""The settings page, the question, and the same as data for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from cookie_consent.base.addresses import local_path, scope_at, split_address
from cookie_consent.base.clock import day_of, rfc3339
from cookie_consent.base.user_agents import is_from_robot, is_prefetch
from cookie_consent.decision.decision import Decision, refused_in_storage
from cookie_consent.decision.own_cookies import SAVED, Place
from cookie_consent.decision.visit import Visit
from cookie_consent.endpoints.own_data import find_policy_document, summarize
from cookie_consent.endpoints.request import OwnRequest, make_page, render_page
from cookie_consent.http.forms import Problem
from cookie_consent.http.site import Site
from cookie_consent.pages.assets import link_styles
from cookie_consent.pages.context import QuestionOptions
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import Cookie
from cookie_consent.policy.policy import Policy


async def show_settings(site: Site, request: OwnRequest) -> Response:
    """Respond with the settings page."""
    count_opening(site, request)
    notice = ""
    if request.visit.saved and request.visit.decision.record:
        notice = request.visit.saved
    elif "erased" in request.query:
        notice = "erased_nothing" if request.query["erased"] == "nothing" else "erased"
        if notice == "erased" and request.visit.decision.traces:
            notice = "erased_still_traced"
    return say_saved_once(site, request, await make_settings_page(site, request, notice))


async def make_settings_page(site: Site, request: OwnRequest, notice: str, status: int = 200) -> Response:
    """Return the settings page with a message; see `Pages.settings`."""
    decision = request.visit.decision
    kept = await summarize(site, request)
    if notice.startswith("erased") and kept["records"]:
        notice += "_not_proof"
    html = site.pages.settings(
        decision,
        base=request.base,
        language=request.language,
        next_path=request.next_path,
        notice=notice,
        kept=kept,
        counts_on=request.counts_on,
        own_cookies=list_own_cookies(site, decision.policy, request.base, request.place),
    )
    return make_page(request, html, status, has_script=bool(refused_in_storage(decision)))


def list_own_cookies(site: Site, policy: Policy, base: str, place: Place) -> tuple[Cookie, ...]:
    """Return our own cookies as if the policy of a page declared them, described in its languages."""
    cookies = []
    for spec, cookie in site.own_cookies.declare(policy, place, base, has_log=site.access_log is not None):
        texts = {language: Wording(policy, language)(spec.text) for language in policy.site.languages}
        cookies.append(replace(cookie, description=texts))
    return tuple(cookies)


def say_saved_once(site: Site, request: OwnRequest, reply: Response) -> Response:
    """Return the reply of a page that has said that an answer is saved, so that no page says it again."""
    if request.visit.saved:
        reply.raw_headers.append((b"set-cookie", site.own_cookies.forget(SAVED, request.place)))
    return reply


def count_opening(site: Site, request: OwnRequest) -> None:
    """Count a visitor who opens the settings.

    Neither another look at the settings page, nor the page after an answer or an erasure, opens them.
    """
    if site.access_log is None or request.method != "GET" or "erased" in request.query or request.visit.saved:
        return
    fields = request.fields
    # Robots cannot answer, so the user agent of who has answered is not read.
    if is_prefetch(fields) or (request.visit.decision.record is None and is_from_robot(fields)):
        return
    host = fields.get(b"host", b"")
    before = split_address(fields.get(b"referer", b"").decode("latin-1"))
    if before.netloc.encode("latin-1") != host or not before.path.startswith(request.base):
        site.access_log.counts.add("settings", host, language=request.language)


async def show_do_not_sell(site: Site, request: OwnRequest) -> Response:
    """Respond with the page for refusing a sale or sharing.

    Raises:
        Problem: 404, the policy declares neither.
    """
    if not site.policy.sells:
        raise Problem(404, "Nothing is sold or shared here.")
    return say_saved_once(site, request, render_page(site, request, "do_not_sell.html"))


async def show_transmission(site: Site, request: OwnRequest) -> Response:
    """Respond with the page that tells what is sent to whom.

    Raises:
        Problem: 404, the laws that the policy names ask for no such page.
    """
    if not site.policy.tells_transmission:
        raise Problem(404, "There is no such page here.")
    return render_page(site, request, "transmission.html")


async def show_question(site: Site, request: OwnRequest) -> Response:
    """Respond with the question, for the script to insert into a page.

    `?next=` is the path of the page, and selects the conditions of its service. `?page_language=` is the language
    of the page. `?again` says that the visitor opened the question to change an answer. Else there is none (204)
    where nothing is to be asked, and for pages that the question links to: visitors read them before they answer.
    """
    visit = request.visit
    next_path = request.next_path
    if next_path:
        visit = read_visit_at(site, request, next_path)
    again = "again" in request.query
    if again:
        count_opening(site, request)
    elif not visit.decision.asked or unquote(split_address(next_path).path).rstrip("/") in site.policy.linked_paths:
        return Response(status_code=204)
    html = site.pages.banner(
        visit.decision,
        base=request.base,
        language=request.language,
        next_path=next_path,
        options=QuestionOptions(again=again, by_script=request.query.get("gpc") == "1"),
    )
    style = link_styles(request.base, "", ("choices.css",))
    return make_page(request, f"{style}{html.decode()}")


def read_visit_at(site: Site, request: OwnRequest, page: str) -> Visit:
    """Return the visit that the visitor would make at another address of the site."""
    return site.visits.read(request.scope, local_path(scope_at(request.scope, page)), request.fields)


async def show_state(site: Site, request: OwnRequest) -> Response:
    """Respond with the visitor's state as JSON; with `?page=`, the state on the page at that path."""
    visit = request.visit
    page = request.query.get("page", "")
    if page.startswith("/"):
        visit = read_visit_at(site, request, page)
    reply = JSONResponse(describe_state(site, visit.decision))
    fields = site.own_cookies.set_state(request.visit.decision, request.cookie_field, request.now, request.place)
    reply.raw_headers += [(b"set-cookie", field) for field in fields]
    return reply


def describe_state(site: Site, decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON data.

    - `status`: what the visitor answered: "unknown", "granted", "refused" or "partial".
    - `purposes`: purpose id -> whether it is allowed now, "necessary" included.
    - `outcome`: what holds on the whole, as the link at the end of pages says it; see `Decision`.
    - `should_ask`: whether the question is to be shown.
    - `asked`: ids of the purposes that it asks for.
    - `policy`: the version of the policy in force.
    - `decided_at`: when the visitor answered, or null.
    - `expires_at`: when that answer ends, or null.
    - `source`: where it was given: "banner", "settings", "feature" or "api"; "signal" if
      only a signal refuses something; else null.
    - `signals`: names of the browser's signals: "gpc", "dnt".
    - `honours_gpc`: whether Global Privacy Control turns something off, now or at some time since the answer.
    - `opted_out`: whether the visitor or a signal has refused every sale or sharing; false if the policy has none.
    - `overruled`: ids of the purposes that the visitor granted and that a signal has refused since.
    - `features`: feature id -> whether it is available.
    - `reloads`: whether pages have to be loaded again after a grant: their Content-Security-Policy names recipients
      only where they are allowed.
    - `law`: the code of the law that applies; only if the policy names one.
    """
    policy = decision.policy
    state: dict[str, Any] = {
        "status": decision.status,
        "purposes": dict(decision.purposes),
        "outcome": decision.outcome,
        "should_ask": bool(decision.asked),
        "asked": list(decision.asked),
        "policy": policy.version,
        "decided_at": None,
        "expires_at": None,
        "source": "signal" if decision.refused_by_signal else None,
        "signals": list(decision.signals),
        "honours_gpc": decision.honours_gpc,
        "opted_out": decision.opted_out,
        "overruled": sorted(decision.overruled),
        "features": {feature.id: all(map(decision.purposes.get, feature.purposes)) for feature in policy.features},
        "reloads": site.reloads,
    }
    record = decision.record
    if record is not None:
        decided_at = rfc3339(record.decided_at)
        state.update(decided_at=decided_at, expires_at=rfc3339(record.expires_at), source=record.source)
    if policy.law is not None:
        state["law"] = policy.law.code
    return state


async def show_policy(site: Site, request: OwnRequest) -> Response:
    """Respond with the version of the policy that the path names, or with the current one.

    Raises:
        Problem: 404, the version is unknown; 503, the ledger cannot be reached.
    """
    version = request.path.removeprefix(f"{site.prefix}/policy")[1:] or site.policy.version
    document = await find_policy_document(site, version)
    if document is None:
        raise Problem(404, "There is no such version of the policy.")
    return JSONResponse({"version": version, **document})


async def show_gpc_support(site: Site, request: OwnRequest) -> Response:
    """Respond with the site's GPC support resource (Global Privacy Control, "GPC Support Resource").

    Its date is the newest that the policy declares and that is not in the future, or else today.
    """
    today = day_of(request.now)
    declared = [site.policy.site.updated, *(change.date for change in site.policy.changes)]
    updated = max((day for day in declared if day is not None and day <= today), default=today)
    return JSONResponse({"gpc": site.policy.signals.gpc != (), "lastUpdate": updated.isoformat()})
