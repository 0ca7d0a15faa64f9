"""What a page costs the one who opens it in Chromium: when what is seen, what its scripts take, how it answers.

When a banner is seen: a loop of animation frames from the start of the document looks in every frame for the
banner's box. It counts as seen in the first frame in which at least half of it is in the window, it is fixed
there (which tells its own style from a bare text in the page) and nothing makes it more transparent than 0.9; the
time is that of a task right behind that frame. The page's first contentful paint is taken by the same clock, its
`paintTime`, which is the end of a frame's rendering. A banner that is there in the frame of the first contentful
paint is seen at that time.

What scripts take: the thread time of the outermost events on the page's main thread that compile or run script
(EvaluateScript, v8.compile, v8.compileModule, v8.evaluateModule, FunctionCall, RunMicrotasks in a trace of
devtools.timeline and v8), from the request until two seconds after the load. The pages have no scripts but the
banner's, so all of them count, those without an address and the settings in the page too; only what has an address
elsewhere is the measuring itself. Style and layout count where a script waits for them, not otherwise. Nothing else
looks on in these loads.

What the layout does: the sum of the shifts without recent input until two seconds after the load, or until the
banner is seen where that is later.

How it answers: one press of the mouse on the button that accepts all, at its place and without looking for it in
the page; the longest of the browser's own event timings of that interaction, which come in steps of 8 ms.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright, Response

from benchmarks.banner_site import STYLE_PATH, Variant

SETTLE = 2.0  # seconds after the load, until which the layout may shift
NEW_WINDOW = 0.7  # seconds, for the browser's own work on a window
STARTS_WITHIN = 15.0  # seconds, far more than any banner needs
_WATCH = Path(__file__).with_name("watch.js").read_text("utf-8")
_FIRST_PAINT = """() => {
  const [entry] = performance.getEntriesByName("first-contentful-paint");
  return entry.paintTime ?? entry.startTime;
}"""
_BLOCKING = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.name)"""
_SCRIPT_EVENTS = frozenset(
    {"EvaluateScript", "FunctionCall", "RunMicrotasks", "v8.compile", "v8.compileModule", "v8.evaluateModule"}
)


@dataclass(frozen=True)
class Profile:
    """A device and its network.

    Args:
        name: what it is called.
        context: what Playwright's `new_context` takes.
        slower: how many times slower its processor is than this machine's.
        network: what CDP's `Network.emulateNetworkConditions` takes; none for this machine's own.
    """

    name: str
    context: dict[str, Any]
    slower: int = 1
    network: dict[str, Any] = field(default_factory=dict)


DESKTOP = Profile("desktop", {"viewport": {"width": 1280, "height": 800}})
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


@dataclass(frozen=True)
class File:
    """Something that the browser requested for a banner.

    Args:
        address: its path.
        content: its bytes, unpacked.
        served: how many bytes came.
        immutable: whether the browser may keep it without asking again.
        blocking: whether the browser says that it blocked rendering.
    """

    address: str
    content: bytes
    served: int
    immutable: bool
    blocking: bool


@dataclass(frozen=True)
class FirstPage:
    """The page, and the files that are requested for its banner."""

    html: bytes
    files: list[File]


@dataclass(frozen=True)
class Load:
    """One load, from an empty cache: milliseconds since it began, and what the layout did."""

    first_paint: float
    seen: float | None
    unstyled: int
    shift: float


@dataclass(frozen=True)
class Work:
    """What scripts took in one load, in milliseconds; and what waited for the files: path -> the trace's word."""

    script: float
    waits: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """One answer: how long until the browser showed something of it, and the requests of the next page's banner."""

    milliseconds: float
    later_requests: int


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Starts the browser. It does not say that it is driven, since a banner may hide from such."""
    options = ["--no-sandbox", "--disable-blink-features=AutomationControlled"]
    path = shutil.which("chromium") or "/usr/bin/chromium"
    browser = playwright.chromium.launch(executable_path=path, args=options)
    try:
        yield browser
    finally:
        browser.close()


class Visits:
    """Opens the pages, each time as somebody new.

    Args:
        browser: the browser.
        site: the address of the site.
    """

    def __init__(self, browser: Browser, site: str) -> None:
        self._browser, self._site = browser, site

    def first(self, variant: Variant) -> FirstPage:
        """Looks at what comes over the wire on a first page."""
        responses: list[Response] = []
        with self._page(DESKTOP) as page:
            page.on("response", lambda response: responses.append(response))
            html = self._open(page, variant).body()
            page.wait_for_timeout(SETTLE * 1000)
            blocking = page.evaluate(_BLOCKING)
            files = [self._file(each, blocking) for each in responses if self._is_banners(each.url, variant)]
        return FirstPage(html, files)

    def load(self, variant: Variant, profile: Profile) -> Load:
        """Loads the page and looks on."""
        with self._page(profile) as page:
            noted = self._watched(page, variant)
            first_paint = page.evaluate(_FIRST_PAINT)
        frame, painted = noted["frame"], noted["painted"]
        if painted is not None and frame <= first_paint <= painted:
            painted = first_paint
        return Load(first_paint, painted, noted["unstyled"], noted["shift"])

    def work(self, variant: Variant) -> Work:
        """Loads the page on the slow phone and traces what its scripts take."""
        with self._page(SLOW_PHONE) as page:
            self._browser.start_tracing(page=page, categories=["devtools.timeline", "v8"])
            try:
                self._open(page, variant)
                time.sleep(SETTLE)
            finally:
                events = json.loads(self._browser.stop_tracing())["traceEvents"]
        waits = self._waits(events, variant)
        return Work(script_milliseconds(events, self._site), waits)

    def answer(self, variant: Variant) -> Answer:
        """Accepts all on a desktop, and goes on to another page."""
        later: list[str] = []
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
        return Answer(milliseconds, sum(self._is_banners(address, variant) for address in later))

    @contextmanager
    def _page(self, profile: Profile) -> Iterator[Page]:
        context = self._browser.new_context(**profile.context)
        try:
            page = context.new_page()
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
        page.add_init_script(f"{_WATCH}watchPage({json.dumps(variant.banner)});")
        self._open(page, variant)
        page.wait_for_timeout(SETTLE * 1000)
        return _until(lambda: page.evaluate("noted"), lambda noted: noted["painted"] or not variant.banner)

    def _path(self, address: str) -> str:
        return address.removeprefix(self._site)

    def _is_banners(self, address: str, variant: Variant) -> bool:
        return address.startswith(self._site) and self._path(address) not in (variant.path, STYLE_PATH)

    def _file(self, response: Response, blocking: list[str]) -> File:
        headers = response.all_headers()
        content = response.body()
        return File(
            self._path(response.url),
            content,
            int(headers.get("content-length", len(content))),
            "immutable" in headers.get("cache-control", ""),
            response.url in blocking,
        )

    def _waits(self, events: list[dict[str, Any]], variant: Variant) -> dict[str, str]:
        sent = [event["args"]["data"] for event in events if event["name"] == "ResourceSendRequest"]
        banners = [data for data in sent if self._is_banners(data["url"], variant)]
        return {self._path(data["url"]): data.get("renderBlocking", "") for data in banners}


def _until(look: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    end = time.monotonic() + STARTS_WITHIN
    while not done(found := look()):
        assert time.monotonic() < end, f"the banner does not come: {found}"
        time.sleep(0.1)
    return found


def script_milliseconds(events: list[dict[str, Any]], site: str) -> float:
    """Sums what scripts take on the main thread of a site's page. The browser's own pages are in the trace too."""
    processes = {
        event["pid"]
        for event in events
        if event["name"] == "ResourceSendRequest" and event["args"]["data"]["url"].startswith(site)
    }
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain" and event["pid"] in processes
    }
    ran = [
        event
        for event in events
        if event["name"] in _SCRIPT_EVENTS and event["ph"] == "X" and (event["pid"], event["tid"]) in main
    ]
    total, until = 0.0, dict.fromkeys(main, 0.0)
    for event in sorted(ran, key=lambda event: (event["ts"], -event["dur"])):
        thread = event["pid"], event["tid"]
        address = event.get("args", {}).get("data", {}).get("url", site)
        if event["ts"] >= until[thread] and address.startswith(site):
            until[thread] = event["ts"] + event["dur"]
            total += event.get("tdur", event["dur"])
    return total / 1000
