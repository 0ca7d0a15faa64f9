"""The previews: a few small sites, each under a middleware of its own with the policy of a draft."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.page_views import FRAMES
from cookie_consent.cli.playground.drafts import Draft, Problem, WrongDraftError, load
from cookie_consent.cli.playground.site import Look, site
from cookie_consent.middleware import ConsentMiddleware

PATH = "/preview"
COOKIES = "playground-"
"""How the names of the cookies begin. They differ from those of other sites on this machine: cookies know no ports."""
MOST_KEPT = 4
"""The most previews that are kept: each holds a policy and its rendered texts."""
_PLACE = re.compile(rf"{PATH}/(\d{{1,9}})(?:/|$)")
_FRAME_ANCESTORS = re.compile(rb"(?i)frame-ancestors[^;]*")
_GONE = "This preview has ended. Change something in the playground to start it again.\n"


@dataclass(frozen=True, slots=True)
class Preview:
    """A site with the policy of a draft.

    Args:
        number: its number, which is part of its path.
        app: the site under the middleware.
        look: what may change on its pages.
    """

    number: int
    app: ASGIApp
    look: Look

    @property
    def path(self) -> str:
        """The path that it is mounted at."""
        return f"{PATH}/{self.number}"


class Previews:
    """Makes previews, keeps the last few, and serves them: an ASGI app for the paths below `PATH`.

    Args:
        folder: a folder for policy files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = OrderedDict[tuple[str, ...], Preview]()
        self._numbers = count(1)
        self._key = secrets.token_urlsafe(32)
        # One draft at a time is read, outside the event loop: a long policy takes a while.
        self._limiter = CapacityLimiter(1)

    async def show(self, draft: Draft) -> Preview:
        """Return the preview of a draft: an earlier one with another look where only that differs.

        Raises:
            WrongDraftError: the policy of the draft cannot be used.
        """
        key = (draft.policy, draft.layout, draft.later, draft.language)
        preview = self._kept.get(key)
        if preview is None:
            made = await to_thread.run_sync(self._make, draft, limiter=self._limiter)
            preview = self._kept.setdefault(key, made)  # another request may have asked for the same meanwhile
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        preview.look.theme, preview.look.scheme = draft.theme, draft.scheme
        return preview

    def _make(self, draft: Draft) -> Preview:
        policy, look = load(draft, self._folder), Look(draft.theme, draft.scheme)
        try:
            app = ConsentMiddleware(
                site(policy, look),
                policy=policy,
                secret_keys=self._key,
                layout=draft.layout,
                later=draft.later,
                language=lambda _: draft.language or policy.site.prevailing_language,
                cookie_prefix=COOKIES,
            )
        except ValueError as error:
            raise WrongDraftError([Problem(str(error), 0)]) from None
        return Preview(next(self._numbers), app, look)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to a preview, by the number in its path."""
        place = _PLACE.match(scope["path"])
        preview = next((it for it in self._kept.values() if place and it.number == int(place[1])), None)
        if preview is None:
            await PlainTextResponse(_GONE, 404)(scope, receive, send)
            return
        mounted = {**scope, "root_path": preview.path, "headers": list(_as_own_page(scope["headers"]))}

        async def send_framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(_framed(message.get("headers", ())))}
            await send(message)

        await preview.app(mounted, receive, send_framed)


def _as_own_page(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yield a request's header fields as for a page of its own: the middleware asks nothing in a frame."""
    for name, value in headers:
        yield name, b"document" if name == b"sec-fetch-dest" and value in FRAMES else value


def _framed(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yield a response's header fields so that the playground may frame the page, and no other site."""
    for name, value in headers:
        if name.lower() == b"content-security-policy":
            value = _FRAME_ANCESTORS.sub(b"", value)
        yield name, value
    yield b"content-security-policy", b"frame-ancestors 'self'"
