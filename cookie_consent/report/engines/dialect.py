"""One SQL text for all engines. A dialect fills in what they write differently."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment
    from jinja2.bccache import Bucket

_SHAPE = ("changes", "marks", "steps")
"""How many changes of the offset of local time there are, and how many steps of goals and funnels, of what kinds. The
changes and the steps themselves are parameters."""


DUCKDB, POSTGRESQL, CLICKHOUSE = DIALECTS = ("duckdb", "postgresql", "clickhouse")
_WORDS: Mapping[str, tuple[str, str, str]] = {
    # a parameter that is a 64-bit whole number.
    "number": ("getvariable('{0}')::BIGINT", "%({0})s::bigint", "{{{0}:Int64}}"),
    # a parameter that is a text.
    "text": ("getvariable('{0}')::VARCHAR", "%({0})s::text", "{{{0}:String}}"),
    # a time, as milliseconds since 1970.
    "milliseconds": ("epoch_ms({0})", "floor(extract(epoch FROM {0}) * 1000)::bigint", "toUnixTimestamp64Milli({0})"),
    # milliseconds since 1970, as a time.
    "moment": ("make_timestamp({0} * 1000)", "to_timestamp({0} / 1000.0)", "fromUnixTimestamp64Milli({0}, 'UTC')"),
    # a time, as records write it.
    "time_text": (
        "strftime({0}, '%Y-%m-%dT%H:%M:%S.%gZ')",
        """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
        "concat(replaceOne(toString({0}), ' ', 'T'), 'Z')",
    ),
    # a text like 2026-11-25, as a date.
    "date": ("{0}::DATE", "{0}::date", "toDate({0})"),
    # a date, as days since 1970.
    "day_number": ("({0} - DATE '1970-01-01')", "({0} - DATE '1970-01-01')", "toInt64({0} - toDate('1970-01-01'))"),
    # days since 1970, as months since then.
    "month": (
        "datediff('month', DATE '1970-01-01', DATE '1970-01-01' + ({0})::INTEGER)",
        "(extract(year FROM DATE '1970-01-01' + ({0})::integer) * 12"
        " + extract(month FROM DATE '1970-01-01' + ({0})::integer) - 23641)::bigint",
        "dateDiff('month', toDate32('1970-01-01'), addDays(toDate32('1970-01-01'), {0}))",
    ),
    # a text, as a 64-bit number. It keeps values short that are compared and never shown.
    "hashed": ("hash({0})", "hashtextextended({0}, 0)", "sipHash64({0})"),
    # a text column that sorts by its bytes. All engines then agree on the order.
    "sortable": ("{0}", '({0})::text COLLATE "C"', "toString({0})"),
    # integer division of two whole numbers.
    "whole": ("({0} // {1})", "({0} / {1})", "intDiv({0}, {1})"),
    # what the group of a regular expression matched in a text, or an empty text.
    "matched": ("regexp_extract({0}, '{1}', 1)", "coalesce(substring({0} FROM '{1}'), '')", "extract({0}, '{1}')"),
    # whether a regular expression matches a text. Faster than `matched`.
    "matches": ("regexp_matches({0}, '{1}')", "({0} ~ '{1}')", "match({0}, '{1}')"),
    # one of the parts of a text that & joins, counted from 1.
    "part_of": ("split_part({0}, '&', {1})", "split_part({0}, '&', {1})", "splitByChar('&', {0})[{1}]"),
    # the first value for which a condition holds, ordered by a second column.
    "first": (
        "arg_min({0}, {1}) FILTER (WHERE {2})",
        "(array_agg({0} ORDER BY {1}) FILTER (WHERE {2}))[1]",
        "argMin({0}, {1}) FILTER (WHERE {2})",
    ),
    # the last such value.
    "last": (
        "arg_max({0}, {1}) FILTER (WHERE {2})",
        "(array_agg({0} ORDER BY {1} DESC) FILTER (WHERE {2}))[1]",
        "argMax({0}, {1}) FILTER (WHERE {2})",
    ),
    # texts for which a condition holds, joined in the order of a second column; NULL without any.
    "in_order_of": (
        "string_agg({0}, '' ORDER BY {1}) FILTER (WHERE {2})",
        "string_agg({0}, '' ORDER BY {1}) FILTER (WHERE {2})",
        "arrayStringConcat(arrayMap(pair -> pair.2, arraySort(groupArray(({1}, {0})) FILTER (WHERE {2}))))",
    ),
    # texts for which a condition holds, as an array in the order of a second column.
    "texts_in_order": (
        "list({0} ORDER BY {1}) FILTER (WHERE {2})",
        "array_agg({0} ORDER BY {1}) FILTER (WHERE {2})",
        "arrayMap(pair -> pair.2, arraySort(groupArray(({1}, {0})) FILTER (WHERE {2})))",
    ),
    # after SELECT, `path` and `next_path`, one row for each text of an array that has a next one.
    "each_next": (
        "unnest({0}[:-2]) AS path, unnest({0}[2:]) AS next_path",
        "unnest({0}[:cardinality({0}) - 1]) AS path, unnest({0}[2:]) AS next_path",
        "arrayJoin(arrayZip(arrayPopBack({0}), arrayPopFront({0}))) AS both, both.1 AS path, both.2 AS next_path",
    ),
    # after SELECT, one row for each key and value of a JSON object; no row for anything else.
    "each_pair": (
        "unnest(map_entries(TRY_CAST(TRY_CAST({0} AS JSON) AS MAP(VARCHAR, JSON))))",
        "jsonb_each(CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} END)",
        "arrayJoin(JSONExtractKeysAndValuesRaw(assumeNotNull({0})))",
    ),
    # the key of such a pair.
    "key_of": ("{0}.key", '({0}).key COLLATE "C"', "{0}.1"),
    # its value, as JSON in a text.
    "raw_of": ("{0}.value::VARCHAR", "({0}).value::text", "{0}.2"),
    # a JSON string in a text, as the text that it stands for.
    "unquoted": ("json_extract_string({0}, '$')", "(({0})::jsonb #>> '{{}}') COLLATE \"C\"", "JSONExtractString({0})"),
    # a JSON number in a text, as a floating-point number.
    "decimal": ("TRY_CAST({0} AS DOUBLE)", "({0})::double precision", "toFloat64OrNull({0})"),
    # the hint that keeps a WITH query that is read twice out of memory.
    "facts": ("NOT MATERIALIZED", "", ""),
    # an interpolated quantile; NULL without values.
    "quantile": (
        "quantile_cont({1}, {0})",
        "percentile_cont({0}) WITHIN GROUP (ORDER BY {1})",
        "quantileExactInclusive({0})({1})",
    ),
    # several quantiles as an array that begins at 1. The values are sorted only once.
    "quantiles": (
        "(quantile_cont({1}, [{0}]))",
        "(percentile_cont(ARRAY[{0}]) WITHIN GROUP (ORDER BY {1}))",
        "(quantilesExactInclusive({0})({1}))",
    ),
    # after SELECT, keeps one row for each uid; "" where there are no duplicates, or where the engine removes them
    # later.
    "once": ("", "", "DISTINCT ON (uid)"),
    # after the table of records, leaves out duplicates where the engine removes them later.
    "final": ("", "", "FINAL"),
}
"""The words that differ between the engines, in the order of `DIALECTS`, each a pattern for `str.format`.

Values never become part of a text. They are parameters, which `number` and `text` name.
"""


def sql(name: str, dialect: str, **words: object) -> str:
    """Return `name`.sql in the dialect of an engine.

    Args:
        name: the name of the file, without its suffix.
        dialect: one of DIALECTS.
        words: variables of the template. Never pass input from outside: that belongs in a parameter.
    """
    return _environment(dialect).get_template(f"{name}.sql").render(words).strip()


def shape(given: Mapping[str, int | str]) -> dict[str, int | str]:
    """Return those parameters of a question that the form of the SQL depends on."""
    return {name: given[name] for name in _SHAPE if name in given}


@cache
def _environment(dialect: str) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # commands check their arguments before this

    # No escaping: this is SQL, and every input is in this package.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parents[1] / "sql"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled_before(),
    )
    place = DIALECTS.index(dialect)
    environment.globals |= {word: patterns[place].format for word, patterns in _WORDS.items()}
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
