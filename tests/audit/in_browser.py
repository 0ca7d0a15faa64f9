"""A site whose scripts do what their text does not say in one statement."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.audit.planted import policy
from tests.support.policies import KEY

HOME = """<!doctype html><html lang=en><title>Home</title><main><h1>Home</h1>
<a href="/quiet">Quiet</a> <a href="/file">File</a></main>
<script src="/static/made.js"></script>
"""
MADE = """const name = ["com", "puted"].join("")
document.cookie = name + "=1; path=/"
const store = localStorage
store.setItem("made-" + name, 1)
store["kept-" + name] = 1
new Image().src = "https://" + name + ".example/p.gif"
"""
QUIET = """<!doctype html><html lang=en><title>Quiet</title><main><h1>Quiet</h1></main>
<script>
if (document.cookie.includes("never")) localStorage.setItem("films-never", 1)
</script>
"""


async def home(request: Request) -> Response:
    """Show a page with a script that makes names."""
    return HTMLResponse(HOME)


async def quiet(request: Request) -> Response:
    """Show a page with a script that does nothing for these visitors, and set a cookie that a withdrawal misses."""
    response = HTMLResponse(QUIET)
    response.set_cookie("seen-quiet", "1", path="/quiet")
    return response


async def made(request: Request) -> Response:
    """Send the script."""
    return Response(MADE, media_type="text/javascript")


async def file(request: Request) -> Response:
    """Send what browsers save and do not show."""
    return Response(b"0", media_type="application/zip", headers={"content-disposition": "attachment"})


app = Starlette(routes=[Route("/", home), Route("/quiet", quiet), Route("/file", file), Route("/static/made.js", made)])
app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=KEY)
