"""The site that `benchmarks.banner` visits: the same article without a banner, with ours, and with each of two peers.

The peers are put into the page as their own documentation says, each in the way that costs the page least where
there is a choice: the settings inline and not in a further file, scripts deferred or at the end of the body. Their
files are sent as a CDN does, in the best that brotli can do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
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

PEERS = Path(__file__).with_name("peers")
STYLE_PATH = "/static/site.css"
_MODULES = PEERS / "node_modules"
_STYLE = """body { color: #1b1f24; font: 1rem/1.6 system-ui, sans-serif; padding: 0 1rem }
h1, h2 { line-height: 1.2; margin-block: 1.5em 0.5em }
a { color: #24507a }
header, footer { border-block: 1px solid #ccd2d8; padding-block: 0.75rem }
section { border-block-end: 1px solid #eceff2 }
"""
_PURPOSES = {
    name: (texts["title"]["en"], texts["description"]["en"])
    for name, texts in tomllib.loads(apps.POLICY.read_text("utf-8"))["purposes"].items()
}


@dataclass(frozen=True)
class Variant:
    """The article with one of the banners, or with none.

    Args:
        name: what it is called.
        banner: the selector of the banner's box; "" for none.
        accept: the selector of the button that accepts all.
        head: goes to the end of the page's head.
        body: goes to the end of the page's body.
    """

    name: str
    banner: str = ""
    accept: str = ""
    head: str = ""
    body: str = ""

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/{self.name}/article"

    @property
    def page(self) -> str:
        """The page as the app makes it, without all but one of the files that the other benchmarks' article names."""
        lines = apps.PAGE.splitlines(keepends=True)
        page = "".join(line for line in lines if "/static/" not in line or STYLE_PATH in line)
        head = f'<link rel="icon" href="data:,">\n{self.head}</head>'
        return page.replace("</head>", head).replace("</body>", f"{self.body}</body>")


def _cookieconsent() -> str:
    categories = {"necessary": {"enabled": True, "readOnly": True}, **{purpose: {} for purpose in _PURPOSES}}
    sections = [
        {"title": title, "description": description, "linkedCategory": purpose}
        for purpose, (title, description) in _PURPOSES.items()
    ]
    texts = {
        "consentModal": {
            "title": "We use cookies",
            "description": "Benchmark Site Ltd. asks for your consent to tracing, maps and videos, and advertising.",
            "acceptAllBtn": "Accept all",
            "acceptNecessaryBtn": "Reject all",
            "showPreferencesBtn": "Manage individual preferences",
        },
        "preferencesModal": {
            "title": "Manage cookie preferences",
            "acceptAllBtn": "Accept all",
            "acceptNecessaryBtn": "Reject all",
            "savePreferencesBtn": "Accept current selection",
            "closeIconLabel": "Close modal",
            "sections": sections,
        },
    }
    return json.dumps({"categories": categories, "language": {"default": "en", "translations": {"en": texts}}})


def _klaro() -> str:
    described = {purpose: {"description": description} for purpose, (_, description) in _PURPOSES.items()}
    services = [{"name": purpose, "title": title, "purposes": [purpose]} for purpose, (title, _) in _PURPOSES.items()]
    titles = {purpose: title for purpose, (title, _) in _PURPOSES.items()}
    translations = {"en": {**described, "purposes": titles}}
    settings = {"version": 1, "acceptAll": True, "privacyPolicy": "/privacy"}
    return json.dumps({**settings, "translations": translations, "services": services})


PLAIN = Variant("plain")
OURS = Variant("ours", banner=".pchoice", accept="button[name=choice][value=accept_all]")
VARIANTS = (
    PLAIN,
    OURS,
    Variant(
        "vanilla-cookieconsent",
        banner="#cc-main .cm",
        accept="#cc-main .cm [data-role=all]",
        head='<link rel="stylesheet" href="/files/vanilla-cookieconsent/dist/cookieconsent.css">\n',
        body=f"""<script type="module">
import "/files/vanilla-cookieconsent/dist/cookieconsent.umd.js";
CookieConsent.run({_cookieconsent()});
</script>
""",
    ),
    Variant(
        "klaro",
        banner=".klaro .cookie-notice",
        accept=".klaro .cookie-notice .cm-btn-success",
        head=f"""<script>var klaroConfig = {_klaro()};</script>
<script defer src="/files/klaro/dist/klaro.js"></script>
""",
    ),
)


def install_peers() -> None:
    """Install the peers from the npm registry, in the versions of the lock file, if they are not yet installed."""
    installed, locked = _MODULES / ".package-lock.json", PEERS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm is not installed: apt-get install npm")
        command = [npm, "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
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
