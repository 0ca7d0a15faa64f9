"""A site with planted faults, and with as many things that look like faults and are none."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.policy.policy import Policy
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Harbour Museum"
controller = "Harbour Museum Foundation"
contact = "privacy@harbour.museum"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Visitor statistics" }
description = { en = "We count visits." }
retention = "30 days"

[purposes.media]
title = { en = "Films" }
description = { en = "We show films." }
retention = "30 days"

[services.archive]
path = "/archive"
title = { en = "Archive" }
purposes.media.refused = true

[[cookies]]
name = "basket"
purpose = "necessary"
duration = "7 days"

[[cookies]]
name = "seen-*"
purpose = "analytics"
duration = "30 days"
path = "/"

[[cookies]]
name = "volume"
purpose = "media"
duration = "session"

[[cookies]]
name = "draft-*"
purpose = "necessary"
kind = "storage"

[[cookies]]
name = "films-*"
purpose = "media"
kind = "storage"

[[recipients]]
id = "films"
name = "Films B.V."
purpose = "media"
origins = ["https://films.example", "https://*.films.example"]
receives = { en = "Address of your device" }

[[recipients]]
id = "payments"
name = "Payments Ltd."
purpose = "necessary"
origins = ["https://pay.example"]
receives = { en = "What you pay" }
"""
DAY = 86_400

# In a body: what stands in the page, and (rule, name) of what is to be found in it.
FAULTS: dict[str, tuple[str, str, str]] = {
    # Hosts that nobody declares.
    "image": ('<img src="https://pixel.example/p.gif">', "undeclared-host", "pixel.example"),
    "image-without-scheme": ('<img src="//noscheme.example/p.gif">', "undeclared-host", "noscheme.example"),
    "image-unquoted": ("<img src=https://unquoted.example/p.gif>", "undeclared-host", "unquoted.example"),
    "image-in-noscript": (
        '<noscript><img src="https://noscript.example/tr?id=1"></noscript>',
        "undeclared-host",
        "noscript.example",
    ),
    "srcset": ('<img srcset="/a.png 1x, https://srcset.example/b.png 2x">', "undeclared-host", "srcset.example"),
    "script": ('<script src="https://tags.example/t.js" async></script>', "undeclared-host", "tags.example"),
    "module": (
        '<script type="module">import "https://module.example/m.js"</script>',
        "undeclared-host",
        "module.example",
    ),
    "stylesheet": (
        '<link rel="stylesheet" href="https://fonts.example/css?family=X">',
        "undeclared-host",
        "fonts.example",
    ),
    "preconnect": (
        '<link rel="preconnect" href="https://preconnect.example">',
        "undeclared-host",
        "preconnect.example",
    ),
    "import-in-style": (
        '<style>@import url("https://import.example/a.css");</style>',
        "undeclared-host",
        "import.example",
    ),
    "background": (
        "<div style=\"background: url('https://background.example/b.png')\"></div>",
        "undeclared-host",
        "background.example",
    ),
    "frame": ('<iframe src="https://frame.example/f"></iframe>', "undeclared-host", "frame.example"),
    "frame-with-text": (
        "<iframe srcdoc=\"<img src='https://srcdoc.example/x.png'>\"></iframe>",
        "undeclared-host",
        "srcdoc.example",
    ),
    "poster": ('<video poster="https://poster.example/p.jpg"></video>', "undeclared-host", "poster.example"),
    "object": ('<object data="https://object.example/o.svg"></object>', "undeclared-host", "object.example"),
    "base": ('<base href="https://base.example/x/"><img src="a.gif">', "undeclared-host", "base.example"),
    "fetch": ("<script>fetch('https://fetch.example/v1?x=1')</script>", "undeclared-host", "fetch.example"),
    "beacon": (
        "<button onclick=\"navigator.sendBeacon('https://beacon.example/b')\">x</button>",
        "undeclared-host",
        "beacon.example",
    ),
    "socket": ("<script>new WebSocket('wss://socket.example/s')</script>", "undeclared-host", "socket.example"),
    "added-script": (
        "<script>const s=document.createElement('script');s.src='https://added.example/a.js';</script>",
        "undeclared-host",
        "added.example",
    ),
    "file": ('<script src="/static/loads.js"></script>', "undeclared-host", "file.example"),
    "sheet": ('<link rel="stylesheet" href="/static/site.css">', "undeclared-host", "sheet.example"),
    # Recipients that nobody allowed.
    "film": ('<iframe src="https://films.example/embed/1"></iframe>', "request-without-consent", "films.example"),
    "film-below": ('<img src="https://img.films.example/1.jpg">', "request-without-consent", "img.films.example"),
    # What scripts store.
    "cookie-by-script": ('<script>document.cookie = "byscript=1; path=/"</script>', "undeclared-cookie", "byscript"),
    "cookie-by-event": (
        "<body onload=\"document.cookie='byevent=1'\">",
        "undeclared-cookie",
        "byevent",
    ),
    "cookie-store": ("<script>cookieStore.set('bystore', '1')</script>", "undeclared-cookie", "bystore"),
    "cookie-library": ("<script>Cookies.set('bylibrary', '1')</script>", "undeclared-cookie", "bylibrary"),
    "cookie-by-file": ('<script src="/static/stores.js"></script>', "undeclared-cookie", "byfile"),
    "cookie-refused": (
        "<script>document.cookie = `volume=7`</script>",
        "cookie-without-consent",
        "volume",
    ),
    "storage": ("<script>localStorage.setItem('unknown-key', 1)</script>", "undeclared-storage", "unknown-key"),
    "storage-by-index": ("<script>sessionStorage['indexed'] = 1</script>", "undeclared-storage", "indexed"),
    "storage-by-name": ("<script>localStorage.named = 1</script>", "undeclared-storage", "named"),
    "database": ("<script>indexedDB.open('visits')</script>", "undeclared-storage", "visits"),
    "storage-refused": (
        "<script>window.localStorage.setItem('films-last', 3)</script>",
        "storage-without-consent",
        "films-last",
    ),
}
LOOK_ALIKES: dict[str, str] = {
    "link": '<a href="https://elsewhere.example/">x</a>',
    "text": "<p>https://pixel2.example/p.gif</p>",
    "comment": '<!-- <img src="https://comment.example/p.gif"> -->',
    "conditional-comment": '<!--[if IE]><script src="https://ie.example/x.js"></script><![endif]-->',
    "template": '<template><img src="https://template.example/p.gif"></template>',
    "textarea": '<textarea><img src="https://textarea.example/p.gif"></textarea>',
    "title": '<title><img src="https://title.example/p.gif"></title>',
    "code": "<pre>&lt;img src=&quot;https://code.example/p.gif&quot;&gt;</pre>",
    "canonical": '<link rel="canonical" href="https://canonical.example/">',
    "licence": '<link rel="license" href="https://licence.example/by/4.0/">',
    "data": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
    "data-in-style": "<style>p { background: url(data:image/png;base64,xx//y) }</style>",
    "style-comment": "<style>/* @import url('https://csscomment.example/a.css'); */</style>",
    "own-image": '<img src="/static/a.png">',
    "own-image-whole": '<img src="https://localhost/static/a.png">',
    "namespace": '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
    "itemtype": '<div itemscope itemtype="https://schema.example/Event"></div>',
    "linked-data": '<script type="application/ld+json">{"@context": "https://ld.example/"}</script>',
    "json": '<script type="application/json">{"src": "https://json.example/x.js"}</script>',
    "waiting-script": '<script type="text/plain" data-purpose="media" data-src="https://films.example/p.js"></script>',
    "waiting-frame": '<iframe data-purpose="media" data-src="https://films.example/embed/2"></iframe>',
    "waiting-template": '<template data-purpose="media"><img src="https://films.example/p.gif"></template>',
    "payment": '<script src="https://pay.example/p.js"></script>',
    "script-comment": "<script>// document.cookie = 'commented=1'\n</script>",
    "script-comments": "<script>/* localStorage.setItem('commented', 1) */</script>",
    "read-cookie": "<script>if (document.cookie.includes('ab=')) document.title = 'x'</script>",
    "compare-cookie": "<script>if (document.cookie == 'compared=1') {}</script>",
    "read-storage": "<script>localStorage.getItem('read'); const x = localStorage.reading</script>",
    "remove-storage": "<script>localStorage.removeItem('removed'); localStorage.clear()</script>",
    "draft": "<script>sessionStorage.setItem('draft-1', 'x')</script>",
    "basket": "<script>document.cookie = 'basket=1; max-age=3600'</script>",
    "asks": "<script>if (consent.allows('media')) localStorage.setItem('films-seen', 1)</script>",
    "own-fetch": "<script>fetch('/api/names')</script>",
    "own-file": '<script src="/static/quiet.js"></script>',
    "string": "<script>const text = 'see https://string.example/ for more'</script>",
    "button": '<input type="text" src="https://input.example/x.png">',
}
SET_COOKIES: dict[str, tuple[str, dict[str, object], tuple[str, str] | None]] = {
    # Path -> the cookie that the app sets, and what is to be found.
    "server-undeclared": ("ab_test", {}, ("undeclared-cookie", "ab_test")),
    "server-undeclared-long": ("tracker", {"max_age": 400 * DAY}, ("undeclared-cookie", "tracker")),
    "server-too-long": ("basket", {"max_age": 30 * DAY}, ("lifetime-longer-than-declared", "basket")),
    "server-not-session": ("volume", {"max_age": 60}, ("lifetime-longer-than-declared", "volume")),
    "server-elsewhere": (
        "seen-shop",
        {"max_age": DAY, "path": "/server-elsewhere"},
        ("survives-withdrawal", "seen-shop"),
    ),
    "server-basket": ("basket", {"max_age": 7 * DAY}, None),
    "server-seen": ("seen-page", {"max_age": 30 * DAY}, None),
    "server-volume": ("volume", {}, None),
}
STATIC = {
    "loads.js": "// Loads.\nfetch('https://file.example/x')\n",
    "stores.js": "\n\ndocument.cookie = 'byfile=1'\n",
    "quiet.js": "/* document.cookie = 'quiet=1' */\nconst about = 'https://quiet.example/'\n",
    "site.css": "/* */\n.a { background: url(//sheet.example/a.png) }\n",
}


async def home(request: Request) -> Response:
    """Link to all pages."""
    paths = [*(f"fault/{name}" for name in FAULTS), *(f"alike/{name}" for name in LOOK_ALIKES), *SET_COOKIES]
    paths += ["archive/film", "fails", "moved", "deleted", "logout"]
    links = "".join(f'<a href="/{path}">{path}</a>' for path in paths)
    return HTMLResponse(f"<!doctype html><html lang=en><title>Home</title>{links}")


async def fault(request: Request) -> Response:
    """Show a page with a fault on its second line."""
    return HTMLResponse(f"<!doctype html><html lang=en><head>\n{FAULTS[request.path_params['name']][0]}")


async def alike(request: Request) -> Response:
    """Show a page that only looks as if it had a fault."""
    return HTMLResponse(f"<!doctype html><html lang=en><head>\n{LOOK_ALIKES[request.path_params['name']]}")


async def cookie(request: Request) -> Response:
    """Set a cookie."""
    name, attributes, _ = SET_COOKIES[request.url.path[1:]]
    response = HTMLResponse("<!doctype html><title>Cookie</title>")
    response.set_cookie(name, "1", **attributes)  # type: ignore[arg-type]  # THE LINE
    return response


async def fails(request: Request) -> Response:
    """Fail for who refuses: a feature that nobody made ready for it."""
    if not request.state.consent.allows("media"):
        raise RuntimeError("no film")
    return HTMLResponse("<!doctype html><title>Film</title>")


async def archived(request: Request) -> Response:
    """Show a film in a service that refuses films, whatever the visitor answers."""
    return HTMLResponse('<!doctype html><title>Archive</title><iframe src="https://archive.films.example/1"></iframe>')


async def deleted(request: Request) -> Response:
    """Delete a cookie of an earlier version of the site."""
    response = HTMLResponse("<!doctype html><title>Deleted</title>")
    response.delete_cookie("former")
    return response


async def logout(request: Request) -> Response:
    """Fail, since nobody should come here by the way."""
    raise RuntimeError("signed out")


async def moved(request: Request) -> Response:
    """Lead to another site."""
    return RedirectResponse("https://moved.example/")


async def static(request: Request) -> Response:
    """Send a file."""
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("", 404)
    return Response(STATIC[name], media_type="text/css" if name.endswith(".css") else "text/javascript")


def policy() -> Policy:
    """Return the policy of the site."""
    import tomllib

    return policy_of(tomllib.loads(POLICY))


app = Starlette(
    routes=[
        Route("/", home),
        Route("/fault/{name}", fault),
        Route("/alike/{name}", alike),
        *(Route(f"/{path}", cookie) for path in SET_COOKIES),
        Route("/archive/film", archived),
        Route("/fails", fails),
        Route("/moved", moved),
        Route("/deleted", deleted),
        Route("/logout", logout),
        Route("/static/{name}", static),
    ]
)
app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=KEY)
