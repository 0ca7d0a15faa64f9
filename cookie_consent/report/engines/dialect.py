"""One SQL text for all engines. A dialect fills in what they write differently."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment
    from jinja2.bccache import Bucket

_SHAPE = ("changes", "marks", "steps")
"""How many changes of the offset of local time there are, and how many steps of goals and funnels, of what kinds. The
changes and the steps themselves are parameters."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words that differ between engines, each a pattern for `str.format`.

    Values never become part of a text. They are parameters, which `number` and `text` name.

    Args:
        number: a parameter that is a 64-bit whole number.
        text: a parameter that is a text.
        milliseconds: a time, as milliseconds since 1970.
        moment: milliseconds since 1970, as a time.
        date: a text like 2026-11-25, as a date.
        day_number: a date, as days since 1970.
        month: days since 1970, as months since then.
        hashed: a text, as a 64-bit number. It keeps values short that are compared and never shown.
        sortable: a text column that sorts by its bytes. All engines then agree on the order.
        whole: integer division of two whole numbers.
        matched: what the group of a regular expression matched in a text, or an empty text.
        matches: whether a regular expression matches a text. Faster than `matched`.
        part_of: one of the parts of a text that & joins, counted from 1.
        first: the first value for which a condition holds, ordered by a second column.
        last: the last such value.
        in_order_of: texts for which a condition holds, joined in the order of a second column; NULL without any.
        texts_in_order: texts for which a condition holds, as an array in the order of a second column.
        each_next: after SELECT, `path` and `next_path`, one row for each text of an array that has a next one.
        each_pair: after SELECT, one row for each key and value of a JSON object; no row for anything else.
        key_of: the key of such a pair.
        raw_of: its value, as JSON in a text.
        unquoted: a JSON string in a text, as the text that it stands for.
        decimal: a JSON number in a text, as a floating-point number.
        facts: the hint that keeps a WITH query that is read twice out of memory.
        quantile: an interpolated quantile; NULL without values.
        quantiles: several quantiles as an array that begins at 1. The values are sorted only once.
        once: after SELECT, keeps one row for each uid; "" where there are no duplicates, or where the engine removes
            them later.
    """

    number: str
    text: str
    milliseconds: str
    moment: str
    date: str
    day_number: str
    month: str
    hashed: str
    sortable: str
    whole: str
    matched: str
    matches: str
    part_of: str
    first: str
    last: str
    in_order_of: str
    texts_in_order: str
    each_next: str
    each_pair: str
    key_of: str
    raw_of: str
    unquoted: str
    decimal: str
    facts: str
    quantile: str
    quantiles: str
    once: str


DUCKDB = Dialect(
    number="getvariable('{0}')::BIGINT",
    text="getvariable('{0}')::VARCHAR",
    milliseconds="epoch_ms({0})",
    moment="make_timestamp({0} * 1000)",
    date="{0}::DATE",
    day_number="({0} - DATE '1970-01-01')",
    month="datediff('month', DATE '1970-01-01', DATE '1970-01-01' + ({0})::INTEGER)",
    hashed="hash({0})",
    sortable="{0}",
    whole="({0} // {1})",
    matched="regexp_extract({0}, '{1}', 1)",
    matches="regexp_matches({0}, '{1}')",
    part_of="split_part({0}, '&', {1})",
    first="arg_min({0}, {1}) FILTER (WHERE {2})",
    last="arg_max({0}, {1}) FILTER (WHERE {2})",
    in_order_of="string_agg({0}, '' ORDER BY {1}) FILTER (WHERE {2})",
    texts_in_order="list({0} ORDER BY {1}) FILTER (WHERE {2})",
    each_next="unnest({0}[:-2]) AS path, unnest({0}[2:]) AS next_path",
    each_pair="unnest(map_entries(TRY_CAST(TRY_CAST({0} AS JSON) AS MAP(VARCHAR, JSON))))",
    key_of="{0}.key",
    raw_of="{0}.value::VARCHAR",
    unquoted="json_extract_string({0}, '$')",
    decimal="TRY_CAST({0} AS DOUBLE)",
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
    month="(extract(year FROM DATE '1970-01-01' + ({0})::integer) * 12"
    " + extract(month FROM DATE '1970-01-01' + ({0})::integer) - 23641)::bigint",
    hashed="hashtextextended({0}, 0)",
    sortable='({0})::text COLLATE "C"',
    whole="({0} / {1})",
    matched="coalesce(substring({0} FROM '{1}'), '')",
    matches="({0} ~ '{1}')",
    part_of="split_part({0}, '&', {1})",
    first="(array_agg({0} ORDER BY {1}) FILTER (WHERE {2}))[1]",
    last="(array_agg({0} ORDER BY {1} DESC) FILTER (WHERE {2}))[1]",
    in_order_of="string_agg({0}, '' ORDER BY {1}) FILTER (WHERE {2})",
    texts_in_order="array_agg({0} ORDER BY {1}) FILTER (WHERE {2})",
    each_next="unnest({0}[:cardinality({0}) - 1]) AS path, unnest({0}[2:]) AS next_path",
    each_pair="jsonb_each(CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} END)",
    key_of='({0}).key COLLATE "C"',
    raw_of="({0}).value::text",
    unquoted="(({0})::jsonb #>> '{{}}') COLLATE \"C\"",
    decimal="({0})::double precision",
    facts="",
    quantile="percentile_cont({0}) WITHIN GROUP (ORDER BY {1})",
    quantiles="(percentile_cont(ARRAY[{0}]) WITHIN GROUP (ORDER BY {1}))",
    once="",
)
CLICKHOUSE = Dialect(
    number="{{{0}:Int64}}",
    text="{{{0}:String}}",
    milliseconds="toUnixTimestamp64Milli({0})",
    moment="fromUnixTimestamp64Milli({0}, 'UTC')",
    date="toDate({0})",
    day_number="toInt64({0} - toDate('1970-01-01'))",
    month="dateDiff('month', toDate32('1970-01-01'), addDays(toDate32('1970-01-01'), {0}))",
    hashed="sipHash64({0})",
    sortable="toString({0})",
    whole="intDiv({0}, {1})",
    matched="extract({0}, '{1}')",
    matches="match({0}, '{1}')",
    part_of="splitByChar('&', {0})[{1}]",
    first="argMin({0}, {1}) FILTER (WHERE {2})",
    last="argMax({0}, {1}) FILTER (WHERE {2})",
    in_order_of="arrayStringConcat(arrayMap(pair -> pair.2, arraySort(groupArray(({1}, {0})) FILTER (WHERE {2}))))",
    texts_in_order="arrayMap(pair -> pair.2, arraySort(groupArray(({1}, {0})) FILTER (WHERE {2})))",
    each_next="arrayJoin(arrayZip(arrayPopBack({0}), arrayPopFront({0}))) AS both, both.1 AS path, both.2 AS next_path",
    each_pair="arrayJoin(JSONExtractKeysAndValuesRaw(assumeNotNull({0})))",
    key_of="{0}.1",
    raw_of="{0}.2",
    unquoted="JSONExtractString({0})",
    decimal="toFloat64OrNull({0})",
    facts="",
    quantile="quantileExactInclusive({0})({1})",
    quantiles="(quantilesExactInclusive({0})({1}))",
    once="DISTINCT ON (uid)",
)


def sql(name: str, dialect: Dialect, **words: object) -> str:
    """Return `name`.sql in the dialect of an engine.

    Args:
        name: the name of the file, without its suffix.
        dialect: the dialect of the engine.
        words: variables of the template. Never pass input from outside: that belongs in a parameter.
    """
    return _environment(dialect).get_template(f"{name}.sql").render(words).strip()


def shape(given: Mapping[str, int | str]) -> dict[str, int | str]:
    """Return those parameters of a question that the form of the SQL depends on."""
    return {name: given[name] for name in _SHAPE if name in given}


@cache
def _environment(dialect: Dialect) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # commands check their arguments before this

    # No escaping: this is SQL, and every input is in this package.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parents[1] / "sql"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled_before(),
    )
    environment.globals |= {word: pattern.format for word, pattern in asdict(dialect).items()}
    return environment


def _compiled_before() -> BytecodeCache | None:
    """Return where compiled templates are kept: in a folder that only this user can write; None if there cannot be one.

    Compiling those of a report takes as long as importing DuckDB.
    """
    from jinja2 import FileSystemBytecodeCache

    class Cache(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            with suppress(OSError):  # the disk is full, or read-only
                super().dump_bytecode(bucket)

    with suppress(RuntimeError, OSError):  # another user has a folder of this name, or there is none for such files
        return Cache()
    return None
