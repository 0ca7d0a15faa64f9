"""An answer that follows an account.

uvicorn --app-dir examples/accounts app:app

Open http://localhost:8000 in two browsers, sign in under the same name in both, and answer in one of them.
"""

import base64
import json
import os
import secrets
from pathlib import Path
from urllib.parse import parse_qsl

from itsdangerous import BadSignature, TimestampSigner
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from cookie_consent import AccountAnswers, ConsentMiddleware

POLICY = Path(__file__).with_name("consent.toml")
KEY = os.environ.get("CONSENT_KEY") or secrets.token_urlsafe(32)  # without one, each start forgets all answers
PAGE = """<!doctype html><html lang=en><title>Museum</title><body><h1>Museum</h1>
<p>Status: {status}</p><p>User: {user}</p>
<form method=post action=/login><label>Name <input name=user></label> <button>Sign in or out</button></form>"""

kept: dict[str, str] = {}  # your database: the answer is text in a column of the table of users


def signed_in(request: HTTPConnection) -> str | None:
    """Return who is signed in. SessionMiddleware is inside ours, so this reads its cookie itself."""
    try:
        session = TimestampSigner(KEY).unsign(request.cookies.get("session", ""), max_age=14 * 86_400)
        user: str | None = json.loads(base64.b64decode(session)).get("user")
    except (BadSignature, ValueError):
        return None
    return user


def load(user: str) -> dict[str, object] | None:
    """Return the answer that is kept with an account."""
    return json.loads(kept[user]) if user in kept else None


def save(user: str, answer: dict[str, object]) -> None:
    """Keep an answer with an account."""
    kept[user] = json.dumps(answer)


async def home(request: Request) -> HTMLResponse:
    """Show who is signed in and what was answered."""
    user = request.session.get("user", "nobody")
    return HTMLResponse(PAGE.format(status=request.state.consent.status, user=user))


async def login(request: Request) -> RedirectResponse:
    """Sign in, or out without a name. A real site asks for a password."""
    user = dict(parse_qsl((await request.body()).decode())).get("user", "")
    request.session.clear()
    if user.isalnum():
        request.session["user"] = user
    return RedirectResponse("/", status_code=303)


app = Starlette(routes=[Route("/", home), Route("/login", login, methods=["POST"])])
app.add_middleware(SessionMiddleware, secret_key=KEY)
accounts = AccountAnswers(user=signed_in, load=load, save=save)
app.add_middleware(ConsentMiddleware, policy=POLICY, secret_keys=[KEY], accounts=accounts)
