"""A request to one of our endpoints, who may send it, and what several endpoints need to reply."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl

from anyio import fail_after
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope

from cookie_consent.base.addresses import address, safe_next, scope_at, split_address, split_origin
from cookie_consent.base.bounds import LONGEST_WAIT
from cookie_consent.base.messages import escape_for_log, log_failure, warn_once
from cookie_consent.decision.visit import hide_blocked_cookies
from cookie_consent.http.forms import FORMS, Problem, make_rate_problem, read_media_type
from cookie_consent.http.site import Site
from cookie_consent.texts.locales import accepted_language, match_language

_STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_OWN_SITES = frozenset({"same-origin", "none"})
_FETCH_SITES = _OWN_SITES | {"same-site", "cross-site"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TEST_ADVICE = (
    "The POST has neither Sec-Fetch-Site nor Origin, one of which every browser sends, so it is refused with 403. In a "
    "test, use cookie_consent.testing: answer(client) or refuse(client)."
)
_SCHEME_ADVICE = (
    "the server does not know that the proxy speaks {scheme}. Let the proxy send X-Forwarded-Proto (nginx: "
    "proxy_set_header X-Forwarded-Proto $scheme;) and the server trust it: uvicorn --proxy-headers "
    "--forwarded-allow-ips=PROXY, gunicorn --forwarded-allow-ips=PROXY, hypercorn's ProxyFixMiddleware, granian's "
    "wrap_asgi_with_proxy_headers"
)
_HOST_ADVICE = (
    "the proxy rewrites the Host field. Let it pass what the browser sent (nginx: proxy_set_header Host $http_host;), "
    "or let the server read X-Forwarded-Host (hypercorn's ProxyFixMiddleware)"
)
Result = TypeVar("Result")


class OwnRequest:
    """A request to one of our endpoints.

    Attributes:
        scope: its ASGI scope.
        method: its method.
        fields: its header fields by name, in lowercase.
        query: the parameters of its address.
        receive: its ASGI receive function.
        path: the path inside the app.
        now: when it arrived, in seconds since 1970.
        visit: what the visitor's cookies and signals say.
        place: where our own cookies live.
        base: the address of the endpoints, with the mount path of the app.
        cookie_field: the Cookie field.
        media_type: the media type of its body; "" if it names none.
        is_form: whether an HTML form sent the body.
        wants_json: whether the client accepts JSON rather than a page.
        next_path: the path on this site to return to, from the parameter `next`; "" for none.
        language: the language of the reply.
    """

    def __init__(self, site: Site, scope: Scope, receive: Receive, path: str) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.fields: dict[bytes, bytes] = dict(scope["headers"])
        query = scope.get("query_string", b"").decode("latin-1")
        self.query: dict[str, str] = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        self.receive = receive
        self.path = path
        self.now = site.clock()
        self.visit = site.visits.read(scope, path, self.fields)
        self.place = self.visit.place
        self.base = address(scope.get("root_path", ""), site.prefix)
        self.cookie_field = self.visit.cookies
        self.media_type = read_media_type(self.fields.get(b"content-type", b"").decode("latin-1"))
        self.is_form = self.media_type in FORMS
        self.wants_json = b"json" in self.fields.get(b"accept", b"")
        self.next_path = safe_next(self.query.get("next", ""))
        self.language = choose_language(site, self)

    @property
    def counts_on(self) -> tuple[str, ...]:
        """The hosts on which an answer counts that is given here; none if it counts on this host alone."""
        return self.visit.decision.policy.site.hosts if self.place.host else ()


def choose_language(site: Site, request: OwnRequest) -> str:
    """Return the language of the reply.

    These are tried in order: `?language=`; the app's own choice; `?page_language=`, the language of the page that the
    question is for; the browser's languages; the prevailing language. For a question, the app's choice is that for its
    page.
    """
    offered = site.policy.site.languages
    query = request.query
    language = match_language(query["language"], offered) if "language" in query else None
    if language is None and site.app_language is not None:
        seen_by_app = hide_blocked_cookies(request.scope, request.visit)
        if request.next_path and request.path.rstrip("/") == f"{site.prefix}/question":
            seen_by_app = scope_at(seen_by_app, request.next_path)
        language = site.app_language(seen_by_app)
    return (
        language
        or ("page_language" in query and match_language(query["page_language"], offered))
        or accepted_language(request.fields.get(b"accept-language", b"").decode("latin-1"), offered)
        or site.policy.site.prevailing_language
    )


def refuse_other_sites(request: OwnRequest) -> None:
    """Refuse a request that a page of another site sent, and warn of what a proxy may have made of one of the site's.

    Warn also of one that does not say where it comes from, as those of test clients: the page that a form gets is for
    visitors, and does not explain it.

    Raises:
        Problem: 403, it comes from another site.
    """
    scheme = request.scope.get("scheme", "http")
    host = request.fields.get(b"host", b"").decode("latin-1")
    # All values: if there are several, each has to be right.
    fields = request.scope["headers"]
    fetch_sites = [value.decode("latin-1") for name, value in fields if name == b"sec-fetch-site"]
    origins = [value.decode("latin-1") for name, value in fields if name == b"origin"]
    if not is_cross_site(fetch_sites, origins, scheme, host):
        return
    detail = "Only the site's own pages may do this."
    if not fetch_sites and not origins:
        warn_once("refused POSTs", "", _TEST_ADVICE)
        detail = f"{detail} {_TEST_ADVICE}"
    elif origins and _FETCH_SITES.isdisjoint(fetch_sites):
        warn_of_proxy(origins[0], scheme, host, request.scope.get("root_path", ""))
    raise Problem(403, detail, "error_cross_site")


def is_cross_site(fetch_sites: Sequence[str], origins: Sequence[str], scheme: str, host: str) -> bool:
    """Return whether a request that changes something must be refused.

    If the browser sends Sec-Fetch-Site, that decides; unknown values are ignored (Fetch Metadata, section 2.3).
    Otherwise Origin must be the site's. A request with neither is refused.

    Args:
        fetch_sites: all values of Sec-Fetch-Site.
        origins: all values of Origin.
        scheme: the scheme of the request.
        host: its Host field.
    """
    known = _FETCH_SITES.intersection(fetch_sites)
    if known:
        return not known <= _OWN_SITES
    site = read_origin(f"{scheme}://{host}")
    return not origins or site is None or any(read_origin(origin) != site for origin in origins)


def read_origin(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an Origin field, or None if it is no origin.

    The port is the scheme's default if the field has none.
    """
    address = split_address(text)
    origin = split_origin(address)
    if origin is None or address.path or address.query or "#" in text or "@" in address.netloc:
        return None
    scheme, host, port = origin
    return scheme, host, port or _DEFAULT_PORTS.get(scheme)


def warn_of_proxy(origin: str, scheme: str, host: str, root_path: str) -> None:
    """Warn once of each origin whose POST is refused although it may be the site's own."""
    parts = read_origin(origin)
    if parts is None:
        return
    advice = []
    # Use the scheme of the origin, so that default ports compare equal.
    if read_origin(f"{parts[0]}://{host}") != parts:
        advice.append(_HOST_ADVICE)
    if parts[0] != scheme:
        advice.append(_SCHEME_ADVICE.format(scheme=parts[0]))
    if not advice:
        return
    page = escape_for_log(origin)
    site = escape_for_log(f"{scheme}://{host}")
    text = (
        f'A POST was refused with 403: it came from a page of "{page}", and the app believes it is at "{site}" '
        f'(root_path "{escape_for_log(root_path)}"). If the first is the site\'s own address, {"; and ".join(advice)}. '
        "docs/behind-a-proxy.md has the settings."
    )
    warn_once("origins of refused POSTs", page, text)


def render_page(site: Site, request: OwnRequest, template: str, status: int = 200, **variables: object) -> Response:
    """Return a page of ours, made of a template and its further variables."""
    html = site.pages.page(
        template,
        request.visit.decision,
        base=request.base,
        language=request.language,
        next_path=request.next_path,
        **variables,
    )
    return make_page(request, html, status)


def make_page(request: OwnRequest, html: str, status: int = 200, *, has_script: bool = False) -> Response:
    """Return a page of ours. Its Content-Security-Policy forbids scripts but our own, frames and other origins."""
    policy = f"{_STRICT}; script-src 'self'" if has_script else _STRICT
    headers = {
        "content-security-policy": policy,
        "referrer-policy": "same-origin",
        "content-language": request.language,
    }
    return HTMLResponse(html, status, headers=headers)


def limit_rate(site: Site, kind: str, key: str, now: float) -> None:
    """Count something that a visitor does.

    Raises:
        Problem: 429, the visitor does it too often.
    """
    limit = site.limits[kind]
    wait = limit.wait(key, now)
    if wait:
        raise make_rate_problem(wait, f"At most {limit.most} requests in {limit.seconds:.0f} seconds.")


async def wait_for_store(store: Awaitable[Result], longest: float | None = LONGEST_WAIT) -> Result:
    """Wait for the result of a ledger or sink, at most so many seconds; None for no limit.

    Raises:
        Problem: 503, it fails or takes longer.
    """
    try:
        with fail_after(longest):
            return await store
    except Exception as error:  # noqa: BLE001 (without the store, any reply would be wrong)
        log_failure("What is kept could not be read or changed; the request was refused", error)
        raise Problem(503, "What is kept cannot be reached just now.", "error_unavailable") from None
