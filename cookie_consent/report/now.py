"""Who is on the site now, as far as the log can tell.

All times of a visitor are early by the same lag, up to a quarter of an hour, so that they do not tell who answered
when. Whoever saw a page in the last five minutes has a time in the last twenty. So all of these are counted: nobody who
is here is missing, and some left up to a quarter of an hour ago. The order in which records arrive would be exact, but
databases do not keep it, and it would tell what the lag hides.
"""

from __future__ import annotations

from cookie_consent.report.engines.engine import Engine
from cookie_consent.report.lists import number
from cookie_consent.report.question import Question

RECENT = 5
LONGEST_LAG = 15
"""Minutes."""


def visitors_now(engine: Engine, question: Question, now: float) -> dict[str, int] | None:
    """Return the number of visitors in the last minutes, and of these minutes; None if the range does not reach to now.

    A segment has sessions, and one that goes on is not over: None with filters, too.

    Args:
        engine: an engine with the tables of the range.
        question: the range.
        now: seconds since 1970.
    """
    given, minutes = question.given, RECENT + LONGEST_LAG
    moment = round(now * 1000)
    if question.where or not int(given["since"]) <= moment < int(given["end"]):
        return None
    (row,) = engine.rows("now", {**given, "recent_since": moment - minutes * 60_000, "now": moment})
    return {"visitors": number(row["visitors"]), "minutes": minutes}
