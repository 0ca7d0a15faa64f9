"""The site that `benchmarks.banner` visits: the same article without a banner, with ours, and with each of two peers.

The files `peers/*.html` are put into the page as the peers' own documentation says, in the way that costs the page
least: the settings inline and not in a further file, scripts deferred or at the end of the body. Their files are sent
as a CDN does, in the best that brotli can do.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type
from pathlib import Path

import brotli
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from benchmarks import apps
from tests.support.servers.processes import program_path

PEERS = Path(__file__).with_name("peers")
STYLE_PATH = "/static/site.css"
BODY = "<!-- at the end of the body -->\n"
_MODULES = PEERS / "node_modules"
_STYLE = """body { color: #1b1f24; font: 1rem/1.6 system-ui, sans-serif; padding: 0 1rem }
h1, h2 { line-height: 1.2; margin-block: 1.5em 0.5em }
a { color: #24507a }
header, footer { border-block: 1px solid #ccd2d8; padding-block: 0.75rem }
section { border-block-end: 1px solid #eceff2 }
"""


@dataclass(frozen=True)
class Variant:
    """The article with one of the banners, or with none.

    Args:
        name: what it is called.
        banner: the selector of the banner's box; "" for none.
        accept: the selector of the button that accepts all.
    """

    name: str
    banner: str = ""
    accept: str = ""

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/{self.name}/article"

    @property
    def page(self) -> str:
        """The page as the app makes it, without all but one of the files that the other benchmarks' article names."""
        lines = apps.PAGE.splitlines(keepends=True)
        page = "".join(line for line in lines if "/static/" not in line or STYLE_PATH in line)
        peer = PEERS / f"{self.name}.html"
        head, _, body = (peer.read_text("utf-8") if peer.exists() else "").partition(BODY)
        head = f'<link rel="icon" href="data:,">\n{head}</head>'
        return page.replace("</head>", head).replace("</body>", f"{body}</body>")


PLAIN = Variant("plain")
OURS = Variant("ours", ".pchoice", "button[name=choice][value=accept_all]")
VARIANTS = (
    PLAIN,
    OURS,
    Variant("vanilla-cookieconsent", "#cc-main .cm", "#cc-main .cm [data-role=all]"),
    Variant("klaro", ".klaro .cookie-notice", ".klaro .cookie-notice .cm-btn-success"),
)


def install_peers() -> None:
    """Install the peers from the npm registry, in the versions of the lock file, if they are not yet installed."""
    installed, locked = _MODULES / ".package-lock.json", PEERS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        command = [program_path("npm", "npm"), "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=PEERS, check=True)


@cache
def compressed(content: bytes) -> bytes:
    """Return it as small as brotli can make it."""
    packed: bytes = brotli.compress(content, quality=11)
    return packed


def _served(path: str, content: bytes) -> Response:
    headers = {"content-encoding": "br", "cache-control": "public, max-age=31536000, immutable"}
    return Response(compressed(content), headers=headers, media_type=guess_type(path)[0])


def _file(request: Request) -> Response:
    path = request.path_params["path"]
    return _served(path, (_MODULES / path).read_bytes())


_others = Starlette(
    routes=[
        Route(STYLE_PATH, lambda _: _served(STYLE_PATH, _STYLE.encode())),
        Route("/files/{path:path}", _file),
        *(Route(variant.path, lambda _, page=variant.page: HTMLResponse(page)) for variant in VARIANTS),
    ]
)
_ours = apps.consent_app(_others)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve our page and what belongs to it under the middleware, and the other pages without."""
    is_ours = scope.get("path", OURS.path).startswith((OURS.path, apps.PREFIX))
    await (_ours if is_ours else _others)(scope, receive, send)
