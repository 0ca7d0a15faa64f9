"""What the banner costs a page, beside what other banners cost it: vanilla-cookieconsent and klaro.

Chromium opens the pages, npm gets the peers. All are on the same article, served from this machine in the same run, and
take turns in each round. Ratios are taken within a round; shown are their medians, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, Response, sync_playwright

from benchmarks.banner_site import OURS, PLAIN, STYLE_PATH, VARIANTS, Variant, compressed, install_peers
from benchmarks.table import Row, print_table
from cookie_consent.pages.pages import LAYOUTS
from tests.support.browsers.share import SCREENS, share_site, shares, show_banner
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.servers.processes import program_path
from tests.support.sites.share_site import LANGUAGES
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent
SETTLE = 2.0  # seconds after the load, until which the layout may shift
NEW_WINDOW = 0.7  # seconds, for the browser's own work on a window
_WATCH = Path(__file__).with_name("watch.js").read_text("utf-8")


@dataclass(frozen=True)
class Profile:
    """A device, as Playwright's `new_context` takes it; its network, as CDP's `Network.emulateNetworkConditions` does.

    Its processor is so many times slower than this machine's. Without a network, it has this machine's own. For the
    first paint it loads a page so many times in each round.
    """

    name: str
    context: dict[str, Any]
    slower: int = 1
    network: dict[str, Any] = field(default_factory=dict)
    paints: int = 1


# A frame is a third of the time to its first paint, so that one load says little.
DESKTOP = Profile("desktop", {"viewport": {"width": 1280, "height": 800}}, paints=8)
SLOW_PHONE = Profile(
    "slow phone",
    {"viewport": {"width": 360, "height": 640}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
    slower=4,
    # Lighthouse's mobile preset (150 ms, 1.6 Mbit/s down, 0.75 up) with the factors that it sets for this kind of
    # throttling: it delays requests, not packets, so that a request's delay stands for its connection's too.
    network={
        "offline": False,
        "latency": 150 * 3.75,
        "downloadThroughput": 1638.4 * 0.9 * 1024 / 8,
        "uploadThroughput": 750 * 0.9 * 1024 / 8,
    },
)
PROFILES = (DESKTOP, SLOW_PHONE)


@dataclass(frozen=True)
class Load:
    """One load, from an empty cache: when what was painted (milliseconds), and what the layout did."""

    first_paint: float
    seen: float | None
    unstyled: int
    shift: float


@dataclass
class Runs:
    """All that was measured of one variant, in the order of the rounds.

    Args:
        variant: what is measured.
        html: its page.
        files: what else is requested for the banner.
        blocking: how many of these files block rendering.
        shares: the percentage of each window that the banner covers.
        waits: whether the page is not painted while the banner's stylesheets do not come.
        later: how many files are requested once the visitor has answered.
        first_paints: the mean time of the first paint in each round (milliseconds).
    """

    variant: Variant
    html: bytes
    files: list[bytes]
    blocking: int
    shares: dict[str, float]
    waits: bool
    loads: dict[str, list[Load]] = field(default_factory=lambda: {profile.name: [] for profile in PROFILES})
    first_paints: dict[str, list[float]] = field(default_factory=lambda: {profile.name: [] for profile in PROFILES})
    answers: list[float] = field(default_factory=list)
    later: int = 0


class Visits:
    """Opens the pages, each time as somebody new.

    Args:
        browser: the browser.
        site: the address of the site.
    """

    def __init__(self, browser: Browser, site: str) -> None:
        self._browser, self._site = browser, site

    def first(self, variant: Variant) -> Runs:
        """Return what comes over the wire on a first page."""
        responses: list[Response] = []
        with self._page(DESKTOP) as page:
            page.on("response", lambda response: responses.append(response))
            html = self._open(page, variant).body()
            page.wait_for_timeout(SETTLE * 1000)
            files = [each.body() for each in responses if self._is_banners(each.url, variant)]
            blocking = sum(self._is_banners(address, variant) for address in page.evaluate("blockingFiles()"))
            covered = shares(page, variant.banner) if variant.banner else {}
        return Runs(variant, html, files, blocking, covered, self._waits(variant))

    def _waits(self, variant: Variant) -> bool:
        """Return whether the page is not painted while the banner's stylesheets do not come."""
        with self._page(DESKTOP) as page:
            page.route(lambda url: url.endswith(".css") and self._is_banners(url, variant), lambda _: None)
            page.goto(self._site + variant.path, wait_until="commit")
            page.wait_for_timeout(SETTLE * 1000)
            return not page.evaluate("performance.getEntriesByName('first-contentful-paint').length")

    def load(self, variant: Variant, profile: Profile) -> Load:
        """Load the page, and return what was seen."""
        with self._page(profile) as page:
            noted = self._watched(page, variant)
        first_paint, frame, painted = noted["firstPaint"], noted["frame"], noted["painted"]
        if painted is not None and frame <= first_paint <= painted:
            painted = first_paint
        return Load(first_paint, painted, noted["unstyled"], noted["shift"])

    def first_paint(self, variant: Variant, profile: Profile) -> float:
        """Return the mean time of the first paint (milliseconds) of as many loads as the profile says."""
        times: list[float] = []
        for _ in range(profile.paints):
            with self._page(profile) as page:
                page.add_init_script('watchPage("")')
                self._open(page, variant)
                times.append(page.wait_for_function("noted.firstPaint").json_value())
        return fmean(times)

    def answer(self, runs: Runs) -> None:
        """Accept all on a desktop, and go on to another page."""
        variant, later = runs.variant, list[str]()
        with self._page(DESKTOP) as page:
            self._watched(page, variant)
            button = page.locator(variant.accept).first.bounding_box()
            assert button, f"{variant.name}: there is no button to press"
            at = button["x"] + button["width"] / 2, button["y"] + button["height"] / 2
            page.mouse.move(*at)
            page.wait_for_timeout(100)
            page.mouse.click(*at)
            page.wait_for_timeout(500)
            page.locator(variant.banner).first.wait_for(state="hidden")
            milliseconds = page.evaluate("noted.answer")
            assert milliseconds is not None, f"{variant.name}: the browser did not time the answer"
            page.on("request", lambda request: later.append(request.url))
            self._open(page, variant)
            page.wait_for_timeout(500)
        runs.answers.append(milliseconds)
        runs.later = max(runs.later, sum(self._is_banners(address, variant) for address in later))

    @contextmanager
    def _page(self, profile: Profile) -> Iterator[Page]:
        context = self._browser.new_context(**profile.context)
        try:
            page = context.new_page()
            page.add_init_script(_WATCH)
            page.wait_for_timeout(NEW_WINDOW * 1000)
            devtools = context.new_cdp_session(page)
            if profile.slower > 1:
                devtools.send("Emulation.setCPUThrottlingRate", {"rate": profile.slower})
            if profile.network:
                devtools.send("Network.enable")
                devtools.send("Network.emulateNetworkConditions", profile.network)
            yield page
        finally:
            context.close()

    def _open(self, page: Page, variant: Variant) -> Response:
        response = page.goto(self._site + variant.path, wait_until="load")
        assert response, variant.name
        assert response.ok, f"{variant.name}: {response.status}"
        return response

    def _watched(self, page: Page, variant: Variant) -> dict[str, Any]:
        page.add_init_script(f"watchPage({json.dumps(variant.banner)})")
        self._open(page, variant)
        page.wait_for_timeout(SETTLE * 1000)
        if variant.banner:
            wait_until(lambda: page.evaluate("noted.painted"))
        noted: dict[str, Any] = page.evaluate("noted")
        return noted

    def _is_banners(self, address: str, variant: Variant) -> bool:
        own = address.startswith(self._site)
        return own and address.removeprefix(self._site) not in (variant.path, STYLE_PATH)


def measure(visits: Visits, rounds: int) -> list[Runs]:
    """Measure all variants in turns. Their first pages warm the browser and the server up."""
    runs = [visits.first(variant) for variant in VARIANTS]
    for number in range(rounds):
        turn = number % len(runs)
        for one in runs[turn:] + runs[:turn]:
            for profile in PROFILES:
                one.loads[profile.name].append(visits.load(one.variant, profile))
                one.first_paints[profile.name].append(visits.first_paint(one.variant, profile))
            if one.variant is not PLAIN:
                visits.answer(one)
    return runs


def spread(values: Iterable[float]) -> str:
    """Return the median, and between what the values lie."""
    known = sorted(values)
    return f"{median(known):.2f} ({known[0]:.2f}-{known[-1]:.2f})"


def figures(runs: Runs, plain: Runs) -> Row:
    """Return what one banner costs."""
    loads = [load for loads in runs.loads.values() for load in loads]
    files = sum(len(compressed(file)) for file in runs.files) / 1000
    added = (len(compressed(runs.html)) - len(compressed(plain.html))) / 1000
    found: Row = {
        **{f"of {window} covered (%)": share for window, share in runs.shares.items()},
        "files, brotli (kB)": round(files, 2),
        "files and what is added to the HTML, brotli (kB)": round(files + added, 2),
        "requests": len(runs.files),
        "requests once answered": runs.later,
        "files that block rendering": runs.blocking,
        "blank while its stylesheets stall": "yes" if runs.waits else "no",
    }
    for name, own in runs.loads.items():
        pairs = zip(runs.first_paints[name], plain.first_paints[name], strict=True)
        found[f"{name}: FCP / plain FCP"] = spread(paint / bare for paint, bare in pairs)
        found[f"{name}: seen / own FCP"] = spread(load.seen / load.first_paint for load in own if load.seen)
    return {
        **found,
        "desktop: INP of the answer (ms)": spread(runs.answers),
        "layout shift, worst": round(max(load.shift for load in loads), 4),
        "frames without its style, worst": max(load.unstyled for load in loads),
    }


TARGETS: Row = {
    **{f"of {window} covered (%)": most for window, most in zip(SCREENS, (45, 38, 30, 12, 7), strict=True)},
    "files, brotli (kB)": 4,
    "files that block rendering": 0,
    "blank while its stylesheets stall": "no",
    "requests": 1,
    "requests once answered": 0,
    "desktop: FCP / plain FCP": 1.05,
    "slow phone: FCP / plain FCP": 1.05,
    "desktop: seen / own FCP": 1.5,
    "slow phone: seen / own FCP": 1.1,
    "desktop: INP of the answer (ms)": 50,
    "layout shift, worst": 0,
    "frames without its style, worst": 0,
}
"""What ours should have at most."""


def cover(browser: Browser) -> list[Row]:
    """Return how much of each window our banner covers, in all layouts, where it asks for two purposes."""
    rows: list[Row] = []
    with TemporaryDirectory() as folder, share_site(Path(folder)) as address, browser.new_context() as context:
        page = context.new_page()
        for layout, language in itertools.product(LAYOUTS, LANGUAGES):
            show_banner(page, address, layout, language)
            rows.append({"layout": layout, "language": language, **shares(page)})
    return rows


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.banner", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each page has its turn (7)")
    arguments = parser.parse_args()
    install_peers()
    # The browser does not say that it is driven, since a banner may hide from such.
    options = ["--no-sandbox", "--disable-blink-features=AutomationControlled"]
    with (
        TemporaryDirectory() as folder,
        started("benchmarks.banner_site:app", ROOT, Path(folder) / "site.log", (LOOPBACK, 0), {}) as site,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program_path("chromium", "chromium"), args=options) as browser,
    ):
        plain, *others = measure(Visits(browser, site.address), arguments.rounds)
        covered = cover(browser)
    paints = [f"{name} {median(times):.0f} ms" for name, times in plain.first_paints.items()]
    banners = {each.variant.name: figures(each, plain) for each in others}
    rows: list[Row] = [
        {"": name, **{banner: found[name] for banner, found in banners.items()}, "to reach": TARGETS.get(name)}
        for name in banners[OURS.name]
    ]
    print_table(f"FCP of the plain page: {', '.join(paints)}", rows)
    print_table("Window covered (%), with two purposes, a recipient and a feature", covered)


if __name__ == "__main__":
    main()
