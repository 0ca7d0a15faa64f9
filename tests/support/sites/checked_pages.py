"""Pages of apps as they are without the middleware and with it, for HTML checkers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.asgi import PHONE, Reply, Visitor, install, reply_app

_HEAD = "<head><meta charset=utf-8><title>A page</title></head>"
_BODY = "<h1>Offices</h1><p>Words</p>"
_CSP_META = "<meta http-equiv=Content-Security-Policy content=\"default-src 'self'\">"
_TRAP = '<!-- <body></body></html> --><script>"<body></body></html>"</script>'
DOCUMENTS = {
    "whole": f'<!doctype html><html lang="en">{_HEAD}<body>{_BODY}</body></html>',
    "indented": f'<!doctype html>\n<html lang="en">\n{_HEAD}\n<body>\n{_BODY}\n</body>\n</html>\n',
    "no doctype": f'<html lang="en">{_HEAD}<body>{_BODY}</body></html>',
    "no head": f'<!doctype html><html lang="en"><body>{_BODY}</body></html>',
    "no head tags": f'<!doctype html><html lang="en"><title>A page</title><body>{_BODY}</body></html>',
    "no body tags": f'<!doctype html><html lang="en">{_HEAD}{_BODY}</html>',
    "no end tags": f'<!doctype html><html lang="en">{_HEAD}<body>{_BODY}',
    "no tags": f"<!doctype html><title>A page</title>{_BODY}",
    "comment at the end": f'<!doctype html><html lang="en">{_HEAD}<body>{_BODY}</body></html><!-- 5 ms -->\n',
    "text at the end": f'<!doctype html><html lang="en">{_HEAD}<body>{_BODY}</body></html><p>Late</p>',
    "noscript": f'<!doctype html><html lang="en">{_HEAD}<body>{_BODY}<noscript><p>Hi</p></noscript></body></html>',
    "tags in a script": f'<!doctype html><html lang="en">{_HEAD}<body>{_TRAP}{_BODY}{_TRAP}</body></html>',
    "policy in the head": f'<!doctype html><html lang="en"><head>{_CSP_META}<title>A page</title></head>'
    f"<body>{_BODY}</body></html>",
}
_NONCE = "'nonce-abcdefghijk'"
FIELDS: dict[str, list[tuple[str, str]]] = {
    "no policy": [],
    "nonce": [("content-security-policy", f"default-src 'self'; script-src {_NONCE}; style-src {_NONCE}")],
    "own origin": [("content-security-policy", "default-src 'self'")],
    "cookie": [("set-cookie", "session=1")],
}
_PIECES = {"whole": 1, "four pieces": 4, "bytes": 10_000}
_VISITOR = [("accept", "text/html"), ("sec-fetch-dest", "document"), ("user-agent", PHONE)]


@dataclass(frozen=True)
class CheckedPage:
    """A page of an app, with and without what the middleware adds."""

    document: str
    policy: str
    pieces: str
    layout: str
    visitor: str
    html: str

    @property
    def without(self) -> str:
        """The page as the app sent it."""
        return DOCUMENTS[self.document]

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.document}, {self.policy}, {self.pieces}, {self.layout}, {self.visitor}"


@cache
def make_pages(document: str) -> list[CheckedPage]:
    """Return the pages of a document: ways to send it, policies, layouts and visitors."""
    pages = []
    for policy, layout in [*((name, "corner") for name in FIELDS), ("no policy", "modal")]:
        for pieces in _PIECES:
            for visitor, reply in _visit(policy, layout, f"/{document}/{pieces}").items():
                pages.append(CheckedPage(document, policy, pieces, layout, visitor, reply.text))
    return pages


def _visit(policy: str, layout: str, path: str) -> dict[str, Reply]:
    """Return the page before an answer, with the message that it is saved, and after it."""
    visitor = Visitor(_install_site(policy, layout), _VISITOR)
    answer = {"choice": "refuse_all", "surface": "banner", "language": "en"}
    replies = {"question": visitor.get(path)}
    visitor.send_form(urlencode(answer))
    replies["saved"] = visitor.get(path)
    replies["link"] = visitor.get(path)
    return replies


@cache
def _install_site(policy: str, layout: str) -> ASGIApp:
    """Return a site with a path for each document and way to send it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _, document, pieces = scope["path"].split("/")
        content = DOCUMENTS[document].encode()
        length = len(content) // _PIECES[pieces] + 1
        chunks = [content[begin : begin + length] for begin in range(0, len(content), length)]
        reply = reply_app(chunks, "text/html; charset=utf-8", headers=FIELDS[policy])
        await reply(scope, receive, send)

    return install(app, settings_link=True, layout=layout)
