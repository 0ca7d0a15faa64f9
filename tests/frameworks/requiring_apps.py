"""Apps with `requires`, in frameworks that only the extra `full` installs."""

from __future__ import annotations

from typing import Any

import blacksheep
import litestar
import quart

from cookie_consent import requires

needs_media = requires("media")


def litestar_app() -> Any:
    @litestar.get("/decorated", media_type="text/html")
    @requires("media")
    async def decorated(request: litestar.Request[Any, Any, Any]) -> str:
        return "the map"

    @litestar.get("/fallback", media_type="text/html")
    @requires("media", fallback=lambda request: "a list")
    async def with_fallback(request: litestar.Request[Any, Any, Any]) -> str:
        return "the map"

    @litestar.get("/asked", media_type="text/html")
    async def asked(request: litestar.Request[Any, Any, Any]) -> str:
        return "" if needs_media.unmet(request) else "the map"

    return litestar.Litestar([decorated, with_fallback, asked], logging_config=None)


def quart_app() -> Any:
    app = quart.Quart(__name__)

    async def listed(request: Any) -> str:
        return "a list"

    @app.get("/<any(decorated, fallback):kind>")
    async def decorated(kind: str) -> str:
        @requires("media", fallback=listed if kind == "fallback" else None)
        async def map_(request: Any) -> str:
            return "the map"

        return await map_(quart.request) or ""

    @app.get("/asked")
    async def asked() -> str:
        return "" if needs_media.unmet(quart.request) else "the map"

    return app


def blacksheep_app() -> Any:
    app = blacksheep.Application(router=blacksheep.Router())

    async def listed(request: blacksheep.Request) -> blacksheep.Response:
        return blacksheep.text("a list")

    @app.router.get("/decorated")
    @requires("media")
    async def decorated(request: blacksheep.Request) -> blacksheep.Response:
        return blacksheep.text("the map")

    @app.router.get("/fallback")
    @requires("media", fallback=listed)
    async def with_fallback(request: blacksheep.Request) -> blacksheep.Response:
        return blacksheep.text("the map")

    @app.router.get("/asked")
    async def asked(request: blacksheep.Request) -> blacksheep.Response:
        return blacksheep.text("" if needs_media.unmet(request) else "the map")

    return app
