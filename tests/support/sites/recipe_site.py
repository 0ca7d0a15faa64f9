"""The recipes of docs/vendors.md, each as a site of its own under /NAME/."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware, Policy
from tests.support.policies import KEY, policy_of

PAGE = Path(__file__).parents[3] / "docs" / "vendors.md"
BEFORE = """
[site]
name = "Recipe"
controller = "Recipe Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Counting" }
description = { en = "We count visits." }

[purposes.ads]
title = { en = "Advertising" }
description = { en = "We measure campaigns." }
"""
_RECIPE = re.compile(r"^```toml\n(.*?)^```\n\n.*?^```html\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Args:
        toml: the lines for the policy file.
        html: the lines for the page.
    """

    toml: str
    html: str

    @property
    def policy(self) -> Policy:
        """The policy of a site that uses the recipe."""
        return policy_of(tomllib.loads(BEFORE + self.toml))


def recipes() -> dict[str, Recipe]:
    """Return the recipes of the page: the heading as a word -> the recipe."""
    sections = re.split(r"^##+ (.*)\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    titled = zip(sections[1::2], sections[2::2], strict=True)
    return {
        title.lower().replace(" ", "-"): Recipe(*found.groups())
        for title, text in titled
        if (found := _RECIPE.search(text))
    }


def _site(name: str, recipe: Recipe) -> Mount:
    """Return a site with the recipe in the head of its page."""
    waits = f'<script type="module" src="/{name}/privacy-choices/gated.js"></script>'
    html = f'<!doctype html><html lang="en"><head><title>{name}</title>{recipe.html}{waits}</head><body><p>Page</body>'

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(html)

    middleware = Middleware(ConsentMiddleware, policy=recipe.policy, secret_keys=KEY)
    return Mount(f"/{name}", routes=[Route("/", page)], middleware=[middleware])


app = Starlette(routes=[_site(name, recipe) for name, recipe in recipes().items()])
