"""A site with a hostile page: it tries every way out to the recipients in HOSTILE_RECIPIENTS, a JSON object.

Its middleware sends a Content-Security-Policy. HOSTILE_POLICY is the one that the app itself sends, in JSON.
"""

from __future__ import annotations

import json
import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Policy
from tests.support.policies import KEY, policy_of

RECIPIENTS: dict[str, dict[str, Any]] = json.loads(os.environ.get("HOSTILE_RECIPIENTS", "{}"))
"""Id -> purpose, origin and directives. One without a purpose is not declared."""
APP_POLICY: str = json.loads(os.environ.get("HOSTILE_POLICY", '""'))

MARKUP = {
    "preload": '<link rel="preload" as="image" href="{to}">',
    "modulepreload": '<link rel="modulepreload" href="{to}">',
    "prefetch": '<link rel="prefetch" href="{to}">',
    "prerender": '<link rel="prerender" href="{to}">',
    "preconnect": '<link rel="preconnect" href="{to}">',
    "dns-prefetch": '<link rel="dns-prefetch" href="{to}">',
    "stylesheet": '<link rel="stylesheet" href="{to}">',
    "icon": '<link rel="icon" href="{to}">',
    "manifest": '<link rel="manifest" href="{to}">',
    "pixel": '<img src="{to}" alt="">',
    "srcset": '<img srcset="{to} 1x" alt="">',
    "picture": '<picture><source srcset="{to}"><img alt=""></picture>',
    "image-button": '<input type="image" src="{to}" alt="">',
    "poster": '<video poster="{to}"></video>',
    "video": '<video src="{to}" preload="auto"></video>',
    "audio": '<audio src="{to}" preload="auto"></audio>',
    "track": '<video src="/silence.webm"><track default kind="captions" src="{to}"></video>',
    "iframe": '<iframe src="{to}"></iframe>',
    "frame-in-frame": "<iframe srcdoc='<iframe src=\"{to}\"></iframe>'></iframe>",
    "srcdoc": "<iframe srcdoc='<img src=\"{to}\">'></iframe>",
    "object": '<object data="{to}"></object>',
    "embed": '<embed src="{to}">',
    "svg-image": '<svg width="9" height="9"><image href="{to}" width="9" height="9"/></svg>',
    "svg-use": '<svg width="9" height="9"><use href="{to}#x"/></svg>',
    "svg-document": '<iframe src="/picture.svg?to={to}"></iframe>',
    "css-url": '<style>.a{n} {{ background: url("{to}") }}</style><p class="a{n}">a</p>',
    "css-import": '<style>@import "{to}";</style>',
    "css-font": '<style>@font-face {{ font-family: f{n}; src: url("{to}") }}</style><p style="font-family:f{n}">a</p>',
    "style-attribute": "<p style=\"background: url('{to}')\">a</p>",
    "handler": """<img src="data:," alt="" onerror="fetch('{to}')">""",
    "inline-script": "<script>fetch('{to}')</script>",
    "script": '<script src="{to}"></script>',
    "module": '<script type="module" src="{to}"></script>',
}
"""The name of a way out -> its HTML."""
SCRIPT = """
const HTML = "http://www.w3.org/1999/xhtml";
const wait = time => new Promise(done => setTimeout(done, time));
const frame = name => { const made = document.createElement("iframe"); made.name = name; document.body.append(made); };
const add = (tag, values) => {
  const made = Object.assign(document.createElement(tag), values);
  document.body.append(made);
  return made;
};
const send = values => {
  frame(values.target);
  const form = Object.assign(document.createElement("form"), values);
  document.body.append(form);
  form.submit();
};
const ways = {
  appended: to => add("script", { src: to }),
  image: to => { new Image().src = to; },
  player: to => new Audio(to).play(),
  fetch: to => fetch(to, { mode: "no-cors" }),
  keepalive: to => fetch(to, { mode: "no-cors", keepalive: true }),
  xhr: to => { const it = new XMLHttpRequest(); it.open("GET", to); it.send(); },
  beacon: to => navigator.sendBeacon(to, "x"),
  events: to => new EventSource(to),
  websocket: to => new WebSocket(to.replace("http", "ws")),
  import: to => import(to),
  fontface: to => new FontFace("f", `url(${to})`).load(),
  adopted: to => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`main { list-style: url("${to}"); display: list-item }`);
    document.adoptedStyleSheets.push(sheet);
  },
  form: to => send({ action: to, method: "post", target: "posted" }),
  "form-get": to => send({ action: to, target: "sent" }),
  ping: to => { add("a", { ping: to, href: "#here", id: "p" }); p.click(); p.remove(); },
  worker: to => new Worker(`/worker.js?to=${to}`),
  "worker-import": to => new Worker(`/worker.js?import=${to}`),
  "shared-worker": to => new SharedWorker(`/worker.js?to=${to}`),
  "blob-worker": to => new Worker(URL.createObjectURL(new Blob([`fetch("${to}", { mode: "no-cors" })`]))),
  "foreign-worker": to => new Worker(to),
  "service-worker": to => navigator.serviceWorker.register(`/worker.js?to=${to}`, { scope: "/nowhere" }),
  "blank-frame": to => { frame("blank"); frames.blank.document.write(`<img src="${to}">`); },
  "frame-script": to => { frame("js"); new frames.js.Image().src = to; },
  ...Object.fromEntries(FRAMED.map(([name, address]) => [name, async to => {
    const frame = add("iframe", { src: address });
    await new Promise(loaded => { frame.onload = loaded; });
    const { contentDocument: document, contentWindow: window } = frame;
    window.fetch(to, { mode: "no-cors" }).catch(() => {});
    new window.Image().src = to;
    for (const tag of ["script", "iframe"])
      document.documentElement.append(Object.assign(document.createElementNS(HTML, tag), { src: to }));
  }])),
  "data-frame": to => add("iframe", { src: `data:text/html,<img src="${to}">` }),
  "moved-base": to => {
    const base = Object.assign(document.createElement("base"), { href: to });
    document.head.append(base);
    add("img", { src: "moved-base" });
    base.remove();
  },
};
for (const origin of ORIGINS) {
  for (const [name, go] of Object.entries(ways)) {
    try { Promise.resolve(go(`${origin}/${name}`)).catch(() => {}); } catch {}
    await wait(5);
  }
}
await wait(1500);
document.title = "done";
"""
KINDS = {"json": "application/json", "css": "text/css", "txt": "text/plain", "svg": "image/svg+xml", "none": None}
FRAMED = {
    **{f"framed-{name}": f"/framed/{name}" for name in KINDS},
    "framed-error": "/nowhere",
    "framed-state": "/privacy-choices/state",
    "framed-settings": "/privacy-choices",
    "framed-asset": "/privacy-choices/choices.js",
}
"""Ways that lead through a frame of the same origin -> what is in the frame."""
WORKER = """
const asked = new URL(location).searchParams;
if (asked.has("import")) importScripts(asked.get("import"));
fetch(asked.get("to"), { mode: "no-cors" });
"""
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{to}" width="9" height="9"/>
<script>fetch("{to}", {{ mode: "no-cors" }})</script></svg>"""


def _texts(text: str) -> dict[str, str]:
    return {"en": text}


def policy() -> Policy:
    """Return the policy of the site."""
    return policy_of(
        {
            "site": {
                "name": "Example",
                "controller": "Example Ltd.",
                "contact": "office@site.example",
                "prevailing_language": "en",
                "languages": ["en"],
            },
            "purposes": {
                id_: {"title": _texts(id_), "description": _texts(id_), "retention": "30 days"}
                for id_ in ("media", "analytics")
            },
            "recipients": [
                {
                    "id": id_,
                    "name": id_,
                    "purpose": it["purpose"],
                    "origins": it["origins"],
                    "directives": it["directives"],
                    "receives": _texts("IP address"),
                }
                for id_, it in RECIPIENTS.items()
                if it["purpose"]
            ],
        }
    )


def _origins() -> list[str]:
    return [it["origins"][0] for it in RECIPIENTS.values()]


async def _page(_: Request) -> Response:
    """Show the hostile page."""
    tags = [
        html.format(to=f"{origin}/{name}", n=number)
        for number, origin in enumerate(_origins())
        for name, html in MARKUP.items()
    ]
    page = (
        '<!doctype html><html lang="en"><head><title>trying</title></head><body><main>Hello</main>'
        f'{"".join(tags)}<script type="module" src="/hostile.js"></script></body></html>'
    )
    return HTMLResponse(page)


async def _script(_: Request) -> Response:
    values = f"const ORIGINS = {json.dumps(_origins())};\nconst FRAMED = {json.dumps([*FRAMED.items()])};\n"
    return Response(values + SCRIPT, media_type="text/javascript")


async def _framed(request: Request) -> Response:
    return Response("{}", media_type=KINDS[request.path_params["name"]])


async def _worker(_: Request) -> Response:
    return Response(WORKER, media_type="text/javascript")


async def _picture(request: Request) -> Response:
    return Response(PICTURE.format(to=request.query_params["to"]), media_type="image/svg+xml")


async def _with_policy(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the site, with a policy of its own on each response."""

    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start" and APP_POLICY:
            message["headers"].append((b"content-security-policy", APP_POLICY.encode()))
        await send(message)

    await site(scope, receive, send_with_policy)


site = Starlette(
    routes=[
        Route("/", _page),
        Route("/hostile.js", _script),
        Route("/worker.js", _worker),
        Route("/picture.svg", _picture),
        Route("/framed/{name}", _framed),
    ]
)
app = ConsentMiddleware(_with_policy, policy(), KEY, csp="enforce")
