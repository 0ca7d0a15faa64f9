"""One SQL text for every engine: what they write differently is a word of a dialect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine writes what SQL has no common word for; each a pattern of str.format.

    No value ever gets into a text: values are parameters, and `number` and `text` name them.

    Args:
        number: a parameter that is a whole number, of 64 bits.
        text: a parameter that is a text.
        milliseconds: a time as milliseconds since 1970.
        moment: milliseconds since 1970 as a time.
        date: a text like 2026-11-25 as a day.
        day_number: a day as days since 1970.
        hashed: a text as a number of 64 bits: what is only told apart, and never shown, is kept short.
        sortable: a text column that sorts by its bytes, as the other engines do.
        whole: a whole number divided by another, without rest.
        matched: what the group of a regular expression matched in a text, or an empty text.
        first: the first of the values for which a condition holds, in the order of a second column.
        last: the last of them.
        facts: how a WITH query is said to be read twice, where it would otherwise be kept in memory.
        quantile: a quantile, interpolated; without values NULL.
        quantiles: several of them, as an array that begins with 1: the values are sorted once.
        once: keeps one row of those with the same uid, where it stands after SELECT; "" where no two can be, or
            where the engine removes them afterwards.
    """

    number: str
    text: str
    milliseconds: str
    moment: str
    date: str
    day_number: str
    hashed: str
    sortable: str
    whole: str
    matched: str
    first: str
    last: str
    facts: str
    quantile: str
    quantiles: str
    once: str


DUCKDB = Dialect(
    number="${0}::BIGINT",
    text="${0}::VARCHAR",
    milliseconds="epoch_ms({0})",
    moment="make_timestamp({0} * 1000)",
    date="{0}::DATE",
    day_number="({0} - DATE '1970-01-01')",
    hashed="hash({0})",
    sortable="{0}",
    whole="({0} // {1})",
    matched="regexp_extract({0}, '{1}', 1)",
    first="arg_min({0}, {1}) FILTER (WHERE {2})",
    last="arg_max({0}, {1}) FILTER (WHERE {2})",
    facts="NOT MATERIALIZED",
    quantile="quantile_cont({1}, {0})",
    quantiles="(quantile_cont({1}, [{0}]))",
    once="",
)
POSTGRESQL = Dialect(
    number="%({0})s::bigint",
    text="%({0})s::text",
    milliseconds="floor(extract(epoch FROM {0}) * 1000)::bigint",
    moment="to_timestamp({0} / 1000.0)",
    date="{0}::date",
    day_number="({0} - DATE '1970-01-01')",
    hashed="hashtextextended({0}, 0)",
    sortable='({0})::text COLLATE "C"',
    whole="({0} / {1})",
    matched="coalesce(substring({0} FROM '{1}'), '')",
    first="(array_agg({0} ORDER BY {1}) FILTER (WHERE {2}))[1]",
    last="(array_agg({0} ORDER BY {1} DESC) FILTER (WHERE {2}))[1]",
    facts="",
    quantile="percentile_cont({0}) WITHIN GROUP (ORDER BY {1})",
    quantiles="(percentile_cont(ARRAY[{0}]) WITHIN GROUP (ORDER BY {1}))",
    once="",
)
CLICKHOUSE = Dialect(
    number="{{{0}:Int64}}",
    text="{{{0}:String}}",
    milliseconds="toUnixTimestamp64Milli({0})",
    moment="fromUnixTimestamp64Milli({0})",
    date="toDate({0})",
    day_number="toInt64({0} - toDate('1970-01-01'))",
    hashed="sipHash64({0})",
    sortable="toString({0})",
    whole="intDiv({0}, {1})",
    matched="extract({0}, '{1}')",
    first="argMin({0}, {1}) FILTER (WHERE {2})",
    last="argMax({0}, {1}) FILTER (WHERE {2})",
    facts="",
    quantile="quantileExactInclusive({0})({1})",
    quantiles="(quantilesExactInclusive({0})({1}))",
    once="DISTINCT ON (uid)",
)


def sql(name: str, dialect: Dialect, **words: object) -> str:
    """Return the text of `name`.sql as an engine reads it.

    Args:
        name: of the file.
        dialect: of the engine.
        words: what else the text needs to be written. Never what comes from outside: that is a parameter.
    """
    return _environment(dialect).get_template(f"{name}.sql").render(words).strip()


@cache
def _environment(dialect: Dialect) -> Environment:
    # Not escaped: this is SQL, and what gets into it is all in these files.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parents[1] / "sql"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {word: pattern.format for word, pattern in asdict(dialect).items()}
    return environment
