"""NiceGUI: features that need consent, in pages that stay open over a websocket, and a session.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookie of docs/frameworks.md. Start it
with `uvicorn nicegui_app:app`.
"""

import os

from fastapi import Depends, FastAPI, Request
from nicegui import app as pages
from nicegui import ui
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

app = FastAPI()

ui.add_head_html(
    "<script>document.addEventListener('consentchange', () => location.reload())</script>",
    shared=True,
)


@ui.page("/")
def home() -> None:
    """Greet, and count the visits of this browser."""
    pages.storage.user["visits"] = pages.storage.user.get("visits", 0) + 1
    ui.label(f"Visit {pages.storage.user['visits']}.")


@ui.page("/suggestions")
def suggestions(request: Request) -> None:
    """Suggest what this visitor may like, or what everybody does."""
    ui.label("For you" if consent_of(request).allows("media") else "For everybody")
    ui.button("More", on_click=more)


def more() -> None:
    """Suggest more, on the same page."""
    consent = consent_of(ui.context.client.request)
    ui.label("More for you" if consent.allows("media") else "More for everybody")


@ui.page("/tour", dependencies=[Depends(requires("media"))])
def tour() -> None:
    """Show a film, or say what is off and offer to allow it."""
    ui.label("The film")


@ui.page("/offices")
def offices(request: Request) -> None:
    """Show a map, or what stands in its place."""
    map_ = consent_of(request).feature("map")
    if map_.available:
        ui.html('<iframe src="https://maps.example.com/" title="Map"></iframe>', sanitize=False)
    else:
        ui.label(map_.fallback)
        ui.link("Privacy settings", consent_context(request)["privacy_settings_url"])


ui.run_with(app, storage_secret=os.environ["CONSENT_KEY"], gzip_middleware_factory=None)
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce")
app.add_middleware(GZipMiddleware)
