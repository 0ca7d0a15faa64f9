"""What the banner costs a page: its bytes, the first paint against the plain page's, and when it is seen.

Chromium opens one article without a banner and with ours by turns, each time as a new visitor with an empty cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import brotli
from playwright.sync_api import Browser, Response, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from benchmarks import apps
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.servers.processes import program_path

PLAIN = "/plain"
OURS = "/ours"
STYLE = '<link rel="icon" href="data:,"><style>body { font: 1rem/1.6 system-ui, sans-serif; padding: 0 1rem }</style>'
WATCH = """
window.noted = { painted: null, frame: null, seen: null, shift: 0 };
const watch = (type, take) => new PerformanceObserver(list => list.getEntries().forEach(take))
    .observe({ type, buffered: true });
watch("layout-shift", entry => { if (!entry.hadRecentInput) noted.shift += entry.value; });
watch("paint", entry => {
    if (entry.name === "first-contentful-paint") noted.painted = entry.paintTime ?? entry.startTime;
});
const after = new MessageChannel();
after.port1.onmessage = () => { noted.seen = performance.now(); };
requestAnimationFrame(function look() {
    const box = document.querySelector(".pchoice");
    const { top = innerHeight, height = 0 } = box?.getBoundingClientRect() ?? {};
    // Its own style makes it fixed; half of it has to be in the window.
    if (!box || getComputedStyle(box).position !== "fixed" || top + height / 2 > innerHeight)
        return requestAnimationFrame(look);
    noted.frame = performance.now();
    after.port2.postMessage("");
});
"""
"""Notes when the page is painted, and in which frame the banner is in the window."""


@dataclass
class Device:
    """A device, as Playwright and CDP take it, and the milliseconds that were measured on it."""

    name: str
    context: dict[str, Any]
    loads: int
    """How often a page is loaded in each round: on a desktop, a frame is a third of the time to the first paint."""
    slower: int = 1
    """Its processor, than this machine's."""
    network: dict[str, Any] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    after_paint: list[float] = field(default_factory=list)
    shift: float = 0.0


def make_devices() -> list[Device]:
    """Return a desktop, which is this machine, and Lighthouse's slow phone."""
    # Lighthouse's mobile preset (150 ms, 1.6 Mbit/s down, 0.75 up), with its factors for delayed requests.
    network = {
        "offline": False,
        "latency": 150 * 3.75,
        "downloadThroughput": 1638.4 * 0.9 * 1024 / 8,
        "uploadThroughput": 750 * 0.9 * 1024 / 8,
    }
    phone = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
    return [
        Device("desktop", {"viewport": {"width": 1280, "height": 800}}, 8),
        Device("slow phone", phone, 1, slower=4, network=network),
    ]


async def _show_article(_: Request) -> HTMLResponse:
    kept = [line for line in apps.PAGE.splitlines() if "/static/" not in line]
    return HTMLResponse("\n".join(kept).replace("</head>", f"{STYLE}</head>"))


_plain = Starlette(routes=[Route(PLAIN, _show_article), Route(OURS, _show_article)])
_ours = apps.consent_app(_plain)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one page without the middleware, and all others under it."""
    await (_plain if scope.get("path") == PLAIN else _ours)(scope, receive, send)


@cache
def compress(content: bytes) -> bytes:
    """Return it as small as brotli can make it."""
    return bytes(brotli.compress(content, quality=11))


def load(browser: Browser, url: str, device: Device) -> dict[str, float]:
    """Load a page as a new visitor, and return what was noted."""
    with browser.new_context(**device.context) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.wait_for_timeout(700)  # the browser's own work on a new window
        devtools = context.new_cdp_session(page)
        if device.slower > 1:
            devtools.send("Emulation.setCPUThrottlingRate", {"rate": device.slower})
            devtools.send("Network.enable")
            devtools.send("Network.emulateNetworkConditions", device.network)
        page.goto(url, wait_until="load")
        page.wait_for_function("noted.painted" if url.endswith(PLAIN) else "noted.painted && noted.seen")
        page.wait_for_timeout(500)  # for late shifts
        noted: dict[str, float] = page.evaluate("noted")
        return noted


def measure_round(browser: Browser, site: str, device: Device, *, plain_first: bool) -> None:
    """Load both pages, and add what was measured."""
    painted = {}
    for path in (PLAIN, OURS) if plain_first else (OURS, PLAIN):
        loads = [load(browser, site + path, device) for _ in range(device.loads)]
        painted[path] = fmean(noted["painted"] for noted in loads)
        if path == OURS:
            device.after_paint += [find_delay(noted) for noted in loads]
            device.shift = max(device.shift, *(noted["shift"] for noted in loads))
    device.ratios.append(painted[OURS] / painted[PLAIN])


def find_delay(noted: dict[str, float]) -> float:
    """Return how long after the first paint the banner is seen: not at all, if it was in the window in that frame."""
    return 0.0 if noted["frame"] <= noted["painted"] else noted["seen"] - noted["painted"]


def weigh(browser: Browser, site: str) -> list[dict[str, object]]:
    """Return what comes over the wire for the banner, in the best that brotli can do."""
    sizes = {}
    files: list[Response] = []
    for path in (PLAIN, OURS):
        with browser.new_context() as context:
            page = context.new_page()
            files.clear()
            page.on("response", lambda response: files.append(response))
            page.goto(site + path, wait_until="networkidle")
            html, *others = [file.body() for file in files]
            sizes[path] = len(compress(html))
    return [
        {"what": "files", "figure": sum(len(compress(file)) for file in others), "to reach": 4000},
        {"what": "added to the HTML", "figure": sizes[OURS] - sizes[PLAIN], "to reach": ""},
        {"what": "requests", "figure": len(others), "to reach": 1},
    ]


def write_spread(values: Iterable[float]) -> str:
    """Return the median, and between what the values lie."""
    known = sorted(values)
    return f"{median(known):.2f} ({known[0]:.2f}-{known[-1]:.2f})"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.banner", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each page has its turn (%(default)s)")
    rounds = parser.parse_args().rounds
    devices = make_devices()
    # The browser does not say that it is driven, since bots are not asked.
    options = ["--no-sandbox", "--disable-blink-features=AutomationControlled"]
    with (
        TemporaryDirectory() as folder,
        started("benchmarks.banner:app", Path(), Path(folder) / "site.log", (LOOPBACK, 0), {}) as site,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program_path("chromium", "chromium"), args=options) as browser,
    ):
        rows = weigh(browser, site.address)
        for number in range(rounds):
            for device in devices:
                measure_round(browser, site.address, device, plain_first=number % 2 == 0)
    apps.print_table("bytes (brotli)", rows)
    paints: list[dict[str, object]] = [
        {
            "device": device.name,
            "first paint / plain (1.05)": write_spread(device.ratios),
            "seen after first paint, ms (150)": write_spread(device.after_paint),
            "layout shift (0)": f"{device.shift:.4f}",
        }
        for device in devices
    ]
    apps.print_table(f"{rounds} rounds: median (lowest-highest); in brackets, what is to be reached", paints)


if __name__ == "__main__":
    main()
