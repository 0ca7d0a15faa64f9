"""The site of a small museum in English, Japanese and Arabic, once for each layout of the banner.

The first part of a path is the layout, the second the language: `/corner/en/`. There is a start page, a page with a
fallback box for the map, one with a card for it, and a film that is replaced by an explaining page. Below `/linked` the
middleware injects the link to the settings; elsewhere each page has its own link.
"""

from __future__ import annotations

import tomllib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.http.features import consent_card, fallback_box
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.pages.pages import LAYOUTS, Layout
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "City Museum"
controller = "City Museum Foundation"
contact = "privacy@museum.example"
policy_url = "/privacy"
prevailing_language = "en"
languages = ["en", "ja", "ar"]
authority = { name = { en = "Data office", ja = "データ委員会", ar = "لجنة البيانات" }, url = "https://data.example" }

[purposes.analytics]
title = { en = "Counting visits", ja = "閲覧の集計", ar = "إحصاء الزيارات" }
retention = "13 months"
traces = true
[purposes.analytics.description]
en = "We count visits to see which pages help."
ja = "役立つページを知るため、閲覧を集計します。"
ar = "نحصي الزيارات لنعرف أي الصفحات مفيدة."
[purposes.analytics.data]
en = "Addresses of pages, times, kind of browser"
ja = "ページのアドレス、日時、ブラウザーの種類"
ar = "عناوين الصفحات والأوقات ونوع المتصفح"

[purposes.media]
title = { en = "Maps and films", ja = "地図と動画", ar = "الخرائط والأفلام" }
[purposes.media.description]
en = "We show maps and films of another company."
ja = "他社の地図と動画を表示します。"
ar = "نعرض خرائط وأفلامًا تقدمها شركة أخرى."

[[cookies]]
name = "basket"
purpose = "necessary"
duration = "session"
description = { en = "The tickets you chose.", ja = "選択されたチケットです。", ar = "التذاكر التي اخترتها." }

[[cookies]]
name = "_visits*"
purpose = "analytics"
duration = "13 months"
description = { en = "Tells two visits apart.", ja = "閲覧を区別します。", ar = "يميّز بين زيارتين." }

[[recipients]]
id = "maps"
name = "Example Maps Inc."
purpose = "media"
origins = ["https://maps.example.com"]
policy_url = "https://maps.example.com/privacy"
country = "US"
[recipients.receives]
en = "IP address, address of the page"
ja = "IPアドレス、ページのアドレス"
ar = "عنوان IP وعنوان الصفحة"
[recipients.use]
en = "Shows maps and films, and counts how often."
ja = "地図と動画を表示し、表示回数を数えます。"
ar = "عرض الخرائط والأفلام وإحصاء مرات عرضها."

[features.map]
title = { en = "Map of the museum", ja = "博物館の地図", ar = "خريطة المتحف" }
purposes = ["media"]
[features.map.fallback]
en = "The map is switched off. The way to us is described below."
ja = "地図は表示していません。道順は下に記載しています。"
ar = "الخريطة متوقفة. الطريق إلينا موصوف أدناه."

[features.film]
title = { en = "Film of the house", ja = "館内の動画", ar = "فيلم عن المتحف" }
purposes = ["media"]
fallback = { en = "The film is switched off.", ja = "動画は表示していません。", ar = "الفيلم متوقف." }

[services.shop]
title = { en = "Shop", ja = "売店", ar = "المتجر" }
path = "/shop"
policy_url = "/shop/terms"
[services.shop.purposes.analytics]
refused = true

[[changes]]
date = 2026-10-01
text = { en = "Films joined the maps.", ja = "地図に加え、動画を始めました。", ar = "أُضيفت الأفلام إلى الخرائط." }
"""
TEXTS = {
    "en": {
        "name": "City Museum",
        "start": "Open every day but Monday",
        "way": "How to find us",
        "film": "Film of the house",
        "map": "Map of the museum",
        "story": "Our house tells how the town grew along its river: boats, markets, letters and the things people "
        "kept. The new rooms on the upper floor show what was found under the old bridge.",
        "path": "From the station, follow the river for ten minutes. We are in the brick house behind the bridge.",
        "settings": "Privacy settings",
    },
    "ja": {
        "name": "市立博物館",
        "start": "月曜日を除き毎日開館",
        "way": "アクセス",
        "film": "館内の動画",
        "map": "博物館の地図",
        "story": "当館では、川沿いに発展した町の歩みを、船、市場、手紙、暮らしの品々でご紹介しています。"
        "上の階の新しい展示室では、古い橋の下から見つかったものをご覧いただけます。",
        "path": "駅から川沿いに10分ほど歩き、橋の裏のれんが造りの建物です。",
        "settings": "プライバシー設定",
    },
    "ar": {
        "name": "متحف المدينة",
        "start": "مفتوح كل يوم ما عدا الاثنين",
        "way": "كيف تصل إلينا",
        "film": "فيلم عن المتحف",
        "map": "خريطة المتحف",
        "story": "يروي متحفنا كيف نمت المدينة على ضفة النهر: القوارب والأسواق والرسائل وما احتفظ به الناس. "
        "وتعرض القاعات الجديدة في الطابق العلوي ما عُثر عليه تحت الجسر القديم.",
        "path": "سِر من المحطة بمحاذاة النهر عشر دقائق. نحن في المبنى القديم خلف الجسر.",
        "settings": "إعدادات الخصوصية",
    },
}
LANGUAGES = tuple(TEXTS)
STYLE = """
:root { background: Canvas; color: CanvasText; color-scheme: light dark }
body { font: 1.05rem / 1.6 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 0 1rem }
body { overflow-wrap: anywhere }
header, footer { padding: 1rem 0 }
header a { font-weight: 700; text-decoration: none }
a { color: inherit }
"""

ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1H0z" fill="#6b3f2a"/></svg>'

MAP = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 180"><path d="M0 0h640v180H0z" fill="#dfe8ee"/>'
    '<path d="M0 130Q160 70 320 110T640 60V180H0Z" fill="#b9d3e6"/>'
    '<path d="M0 50H640M120 0V180M430 0V180" stroke="#fff" stroke-width="9"/>'
    '<circle cx="430" cy="50" r="13" fill="#6b3f2a"/></svg>'
)


def document(request: Request, title: str, main: str) -> HTMLResponse:
    """Return a page of the site with this title and content."""
    language, text = texts_of(request)
    base = request.state.consent.base
    link = f'<a href="{base}?language={language}" data-privacy-settings>{text["settings"]}</a>'
    footer = "2026" if request.app.state.linked else link
    return HTMLResponse(
        f'<!doctype html><html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">'
        f'<head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<script type="module" src="{base}/choices.js"></script></head><body>'
        f'<header><a href="./">{text["name"]}</a></header>'
        f"<main><h1>{title}</h1>{main}</main><footer><p>{footer}</p></footer></body></html>"
    )


def texts_of(request: Request) -> tuple[str, dict[str, str]]:
    """Return the language in the path of a request, and its texts."""
    language = request.path_params["language"]
    return language, TEXTS[language]


async def start(request: Request) -> Response:
    """Show the start page."""
    _, text = texts_of(request)
    return document(request, text["start"], f"<p>{text['story']}</p>")


async def way(request: Request) -> Response:
    """Show the way: the fallback box of the map while it is off, and a text."""
    _, text = texts_of(request)
    box = "" if request.state.consent.feature("map").available else fallback_box(request.scope, "map")
    return document(request, text["way"], f"{box}<p>{text['path']}</p>")


async def map_card(request: Request) -> Response:
    """Show the way: the card of the map while it is off, and a text."""
    _, text = texts_of(request)
    preview = f"{request.scope['root_path']}/map.svg"
    card = consent_card(request, "maps", "<p>A map</p>", preview=preview, title=text["map"])
    return document(request, text["way"], f"{card}<p>{text['path']}</p>")


async def map_preview(request: Request) -> Response:
    """Return the picture on the card."""
    return Response(MAP, media_type="image/svg+xml")


@requires("media", feature="film")
async def film(request: Request) -> Response:
    """Show the film."""
    _, text = texts_of(request)
    return document(request, text["film"], f"<p>{text['story']}</p>")


def site(layout: Layout, *, linked: bool = False) -> Starlette:
    """Return the site with this layout of the banner.

    Args:
        layout: the layout.
        linked: whether the middleware injects the link to the settings.
    """
    paths = {"": start, "way": way, "map": map_card, "film": film}
    routes = [Route(f"/{{language}}/{path}", endpoint) for path, endpoint in paths.items()]
    app = Starlette(routes=[Route("/map.svg", map_preview), *routes])
    app.add_middleware(
        ConsentMiddleware,
        policy=policy_of(tomllib.loads(POLICY)),
        secret_keys=KEY,
        language="path",
        layout=layout,
        ledger=MemoryLedger(),
        settings_link=linked,
    )
    app.state.linked = linked
    return app


async def icon(request: Request) -> Response:
    """Return the icon of the site."""
    return Response(ICON, media_type="image/svg+xml")


app = Starlette(
    routes=[
        Route("/favicon.ico", icon),
        *(Mount(f"/{layout}", site(layout)) for layout in LAYOUTS),
        Mount("/linked", site("corner", linked=True)),
        Mount("/", site("corner")),
    ]
)
