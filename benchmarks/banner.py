"""What the banner costs a page, beside what other banners cost it: vanilla-cookieconsent, klaro and orejime.

Run as `python -m benchmarks.banner` from the root of the checkout; Chromium opens the pages, npm gets the peers.
All are on the same article, served from this machine in the same run, and take their turns in each round. Ratios
are taken within a round; shown are their medians, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from benchmarks.banner_site import INLINE, OURS, PLAIN, VARIANTS, Variant, brotli_size, install_peers, peer_versions
from benchmarks.browser_timing import DESKTOP, SLOW_PHONE, Answer, FirstPage, Load, Visits, Work, chromium
from cookie_consent.demo_site import LOOPBACK, started

ROOT = Path(__file__).parent.parent
PROFILES = (DESKTOP, SLOW_PHONE)
_WAITS = {"blocking": "", "in_body_parser_blocking": "body "}


@dataclass(frozen=True)
class Spread:
    """A median, and between what the values lie."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sums values up."""
        known = sorted(values)
        return cls(round(median(known), 3), round(known[0], 3), round(known[-1], 3))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


@dataclass(frozen=True)
class Timing:
    """When something is seen on one of the devices: the page's first contentful paint, and the banner."""

    first_paint_to_plain: Spread
    seen_to_first_paint: Spread
    seen_to_plain: Spread


@dataclass(frozen=True)
class Figures:
    """What one banner costs. Sizes are in bytes, times in milliseconds, `brotli` is at its best."""

    name: str
    version: str
    brotli: int
    served: int
    html_added: int
    html_added_brotli: int
    requests: list[str]
    answered_requests: int
    blocking: list[str]
    waited_for: list[str]
    immutable: bool
    unstyled_frames: int
    timings: dict[str, Timing]
    script: Spread
    answer: Spread
    layout_shift: float


@dataclass(frozen=True)
class Target:
    """What ours should reach, and what it does."""

    text: str
    found: str
    met: bool


@dataclass
class Runs:
    """All that was measured of one variant, in the order of the rounds."""

    variant: Variant
    first: FirstPage
    loads: dict[str, list[Load]] = field(default_factory=lambda: {profile.name: [] for profile in PROFILES})
    works: list[Work] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def measure(visits: Visits, rounds: int) -> list[Runs]:
    """Measures all variants in turns. Their first pages warm the browser and the server up."""
    runs = [Runs(variant, visits.first(variant)) for variant in VARIANTS]
    for number in range(rounds):
        turn = number % len(runs)
        for one in runs[turn:] + runs[:turn]:
            for profile in PROFILES:
                one.loads[profile.name].append(visits.load(one.variant, profile))
            if one.variant is not PLAIN:
                one.works.append(visits.work(one.variant))
                one.answers.append(visits.answer(one.variant))
        show_progress(number + 1, rounds)
    return runs


def show_progress(done: int, of: int) -> None:
    """Tells a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\rround {done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)


def timing(loads: list[Load], plain: list[Load]) -> Timing:
    """Compares the loads with those of the plain page in the same rounds."""
    pairs = list(zip(loads, plain, strict=True))
    return Timing(
        Spread.of(load.first_paint / bare.first_paint for load, bare in pairs),
        Spread.of(load.seen / load.first_paint for load in loads if load.seen),
        Spread.of(load.seen / bare.first_paint for load, bare in pairs if load.seen),
    )


def figures(runs: Runs, plain: Runs) -> Figures:
    """Sums up what was measured of a banner."""
    html, files = runs.first.html, runs.first.files
    loads = [load for loads in runs.loads.values() for load in loads]
    waits = [f"{_WAITS[word]}{kind(path)}" for path, word in runs.works[0].waits.items() if word in _WAITS]
    return Figures(
        runs.variant.name,
        peer_versions().get(runs.variant.name, ""),
        sum(brotli_size(file.content) for file in files),
        sum(file.served for file in files),
        len(html) - len(plain.first.html),
        brotli_size(html) - brotli_size(plain.first.html),
        [file.address for file in files],
        max(answer.later_requests for answer in runs.answers),
        [file.address for file in files if file.blocking],
        waits,
        all(file.immutable for file in files),
        max(load.unstyled for load in loads),
        {name: timing(loads, plain.loads[name]) for name, loads in runs.loads.items()},
        Spread.of(work.script for work in runs.works),
        Spread.of(answer.milliseconds for answer in runs.answers),
        round(max(load.shift for load in loads), 4),
    )


def kind(path: str) -> str:
    """Names what a file is."""
    return {".css": "style", ".js": "script"}.get(Path(path).suffix, path)


def targets(ours: Figures) -> list[Target]:
    """Compares ours with what it should reach."""
    kinds = sorted(map(kind, ours.requests))
    desktop, phone = (ours.timings[profile.name].seen_to_first_paint for profile in PROFILES)
    return [
        Target("script + style below 4 kB in brotli", f"{ours.brotli / 1000:.2f} kB", ours.brotli < 4000),
        Target("none of them blocks rendering", ", ".join(ours.blocking) or "none", not ours.blocking),
        Target("one request for each of them", ", ".join(kinds), kinds == ["script", "style"]),
        Target("they are immutable", "yes" if ours.immutable else "no", ours.immutable),
        Target("no request on an answered visitor's page", str(ours.answered_requests), ours.answered_requests == 0),
        Target("desktop: seen at most 1.1 x the page's first paint", str(desktop), desktop.median <= 1.1),
        Target("slow phone: seen at most 1.1 x the page's first paint", str(phone), phone.median <= 1.1),
        Target("never seen without its style", f"{ours.unstyled_frames} frames", not ours.unstyled_frames),
        Target("slow phone: scripts take less than 5 ms", f"{ours.script} ms", ours.script.median < 5),
        Target("an answer's INP below 50 ms", f"{ours.answer} ms", ours.answer.median < 50),
        Target("nothing shifts", f"{ours.layout_shift}", ours.layout_shift == 0),
    ]


Row = tuple[str, Callable[[Figures], str]]


def rows() -> list[Row]:
    """Lists what the table shows."""
    shown: list[Row] = [
        ("script + style, brotli (kB)", lambda each: f"{each.brotli / 1000:.2f}"),
        ("script + style, as served (kB)", lambda each: f"{each.served / 1000:.2f}"),
        ("added to the HTML (kB)", lambda each: f"{each.html_added / 1000:.2f}"),
        ("added to the HTML, brotli (kB)", lambda each: f"{each.html_added_brotli / 1000:.2f}"),
        ("requests", lambda each: str(len(each.requests))),
        ("requests once answered", lambda each: str(each.answered_requests)),
        ("rendering waits for", lambda each: ", ".join(each.waited_for) or "none"),
    ]
    for profile in PROFILES:
        shown += _timing_rows(profile.name)
    return [
        *shown,
        ("slow phone: scripts (ms)", lambda each: str(each.script)),
        (
            "desktop: INP of the answer (ms)",
            lambda each: "{median:.0f} (worst {highest:.0f})".format(**asdict(each.answer)),
        ),
        ("layout shift, worst", lambda each: f"{each.layout_shift:g}"),
        ("frames without its style, worst", lambda each: str(each.unstyled_frames)),
    ]


def _timing_rows(profile: str) -> list[Row]:
    return [
        (f"{profile}: FCP / plain FCP", lambda each: str(each.timings[profile].first_paint_to_plain)),
        (f"{profile}: seen / own FCP", lambda each: str(each.timings[profile].seen_to_first_paint)),
        (f"{profile}: seen / plain FCP", lambda each: str(each.timings[profile].seen_to_plain)),
    ]


def print_table(banners: list[Figures], plain: dict[str, Spread], reached: list[Target]) -> None:
    """Prints the figures for people."""
    paints = ", ".join(f"{name} {spread.median:.0f} ms" for name, spread in plain.items())
    print(f"FCP of the plain page: {paints}\n")
    for line in (
        ["", *(each.name for each in banners)],
        ["", *(each.version for each in banners)],
        *([label, *map(show, banners)] for label, show in rows()),
    ):
        print("".join(f"{cell:<32}" if not number else f"{cell:>23}" for number, cell in enumerate(line)).rstrip())
    print("\nTargets of ours")
    for target in reached:
        print(f"{target.text:56}{target.found:28}{'yes' if target.met else 'NO'}")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.banner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each page has its turn (7)")
    parser.add_argument("--inline", action="store_true", help="the article's own style in the page, not in a file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    install_peers()
    environ = {INLINE: "1"} if arguments.inline else {}
    with (
        TemporaryDirectory() as folder,
        started("benchmarks.banner_site:app", ROOT, Path(folder) / "site.log", (LOOPBACK, 0), environ) as site,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
    ):
        plain, *others = measure(Visits(browser, site.address), arguments.rounds)
    banners = [figures(each, plain) for each in others]
    paints = {name: Spread.of(load.first_paint for load in loads) for name, loads in plain.loads.items()}
    reached = targets(next(each for each in banners if each.name == OURS.name))
    if arguments.json:
        found = {
            "rounds": arguments.rounds,
            "inline": arguments.inline,
            "plain_first_paint": paints,
            "banners": banners,
            "targets": reached,
        }
        print(json.dumps(found, default=asdict))
    else:
        print_table(banners, paints, reached)


if __name__ == "__main__":
    main()
