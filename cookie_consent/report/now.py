"""Who is on the site now, as far as the log can tell.

All times of a visitor are early by the same lag, up to a quarter of an hour, so that they do not tell who answered
when. Whoever saw a page in the last five minutes has a time in the last twenty. So all of these are counted: nobody who
is here is missing, and some left up to a quarter of an hour ago. The order in which records arrive would be exact, but
databases do not keep it, and it would tell what the lag hides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cookie_consent.report.engines.engine import Engine
from cookie_consent.report.lists import number
from cookie_consent.report.question import Question

RECENT = 5
LONGEST_LAG = 15
"""Minutes."""
_MINUTES = RECENT + LONGEST_LAG


@dataclass(frozen=True, slots=True)
class Recent:
    """The visitors of the last minutes. While the log does not change, it tells this for later moments, too.

    Args:
        visitors: a second since 1970 -> the number of visitors whose newest page is of it; None if a report does not
            tell who is on the site.
        made: the moment that it was made for, in seconds since 1970.
        until: the moment from which it no longer holds.
        end: the end of the report's range.
    """

    visitors: Mapping[int, int] | None
    made: float
    until: float
    end: float

    def holds(self, now: float) -> bool:
        """Tell whether it holds at a moment."""
        return self.made <= now < self.until

    def at(self, now: float) -> dict[str, int] | None:
        """Return the number of visitors in the last minutes, and of these minutes; None without such a number."""
        if self.visitors is None or now >= self.end:
            return None
        since = _since(now)
        return {
            "visitors": sum(people for second, people in self.visitors.items() if second >= since),
            "minutes": _MINUTES,
        }


def recent_visitors(engine: Engine, question: Question, now: float) -> Recent:
    """Return the visitors of the last minutes; no number if the range does not reach to now.

    A segment has sessions, and one that goes on is not over: no number with filters, too.

    Args:
        engine: an engine with the tables of the range.
        question: the range.
        now: seconds since 1970.
    """
    given = question.given
    begin, end = int(given["since"]) / 1000, int(given["end"]) / 1000
    if question.where or not begin <= now < end:
        return Recent(None, now, begin if now < begin else math.inf, end)
    rows = engine.rows("now", {**given, "recent_since": _since(now) * 1000, "now": round(now * 1000)})
    visitors = {number(row["second"]): number(row["visitors"]) for row in rows if row["second"] is not None}
    later = (number(row["later"]) / 1000 for row in rows if row["later"] is not None)
    return Recent(visitors, now, min(later, default=math.inf), end)


def _since(now: float) -> int:
    """Return the first second of the last minutes."""
    return math.floor(now) - _MINUTES * 60
