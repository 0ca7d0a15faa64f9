"""A page that asks for two purposes, with a policy link, one recipient and one feature: `/{layout}/{language}/`.

It is what the banner's size is measured on: a usual policy, in languages with long words, long sentences and wide
letters.
"""

from __future__ import annotations

import tomllib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware
from cookie_consent.pages.pages import LAYOUTS, Layout
from tests.support.policies import KEY, policy_of

LANGUAGES = ("en", "de", "fr", "ja")
POLICY = """
[site]
name = "Example Registry"
controller = "Example Registry Co., Ltd."
contact = "privacy@registry.example"
policy_url = "/privacy"
prevailing_language = "en"
languages = ["en", "de", "fr", "ja"]

[purposes.analytics]
retention = "13 months"
traces = true
[purposes.analytics.title]
en = "Access tracing"
de = "Zugriffsprotokolle"
fr = "Mesure d’audience"
ja = "アクセス履歴の記録"
[purposes.analytics.description]
en = "We record which pages are visited, to see what is hard to find."
de = "Wir zeichnen auf, welche Seiten besucht werden, um zu sehen, was schwer zu finden ist."
fr = "Nous enregistrons les pages consultées, pour savoir ce qui est difficile à trouver."
ja = "見つけにくい情報を知るため、閲覧されたページを記録します。"

[purposes.media]
[purposes.media.title]
en = "Maps and videos"
de = "Karten und Videos"
fr = "Cartes et vidéos"
ja = "地図と動画"
[purposes.media.description]
en = "We show maps and videos of another company."
de = "Wir zeigen Karten und Videos eines anderen Unternehmens."
fr = "Nous affichons des cartes et des vidéos d’une autre entreprise."
ja = "他社の地図と動画を表示します。"

[[cookies]]
name = "_visits*"
purpose = "analytics"
duration = "13 months"

[[recipients]]
id = "maps"
name = "Example Maps"
purpose = "media"
origins = ["https://maps.example.com"]
[recipients.receives]
en = "IP address, address of the page"
de = "IP-Adresse, Adresse der Seite"
fr = "Adresse IP, adresse de la page"
ja = "IPアドレス、ページのアドレス"

[features.map]
title = { en = "Map of offices", de = "Karte der Standorte", fr = "Carte des bureaux", ja = "事務所の地図" }
purposes = ["media"]
[features.map.fallback]
en = "The addresses are listed below."
de = "Die Adressen stehen unten."
fr = "Les adresses figurent ci-dessous."
ja = "住所は下に記載しています。"
"""
PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Example Registry</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{ font: 1rem / 1.6 system-ui, sans-serif; margin: 0 auto; max-width: 40rem }}</style></head>
<body><h1>Example Registry</h1><p>{text}</p>{links}</body></html>"""
LINKS = 20


async def page(request: Request) -> Response:
    """Show the page."""
    links = "".join(f'<p><a href="?{number}">Link {number}</a></p>' for number in range(LINKS))
    text = "A name of your own. " * 200
    return HTMLResponse(PAGE.format(language=request.path_params["language"], text=text, links=links))


def site(layout: Layout) -> ConsentMiddleware:
    """Return the site with this layout of the banner."""
    policy = policy_of(tomllib.loads(POLICY))
    return ConsentMiddleware(
        Starlette(routes=[Route("/{language}/", page)]), policy, KEY, language="path", layout=layout
    )


app = Starlette(routes=[Mount(f"/{layout}", site(layout)) for layout in LAYOUTS])
