{# The view of files that has the columns of a database's table. Their names are in the variables lines and parquet.

   Lines that were erased are spaces, and a process that was killed leaves a torn one: both read as empty values, and
   have no time or day that is asked for. What `made_up` says stands in for what records of an earlier version lack. #}
CREATE OR REPLACE TEMPORARY VIEW {{ view }} AS
SELECT
{% for column, type in columns.values() %}
    {{ made_up.get(column, column) }} AS {{ column }}{{ "" if loop.last else "," }}
{% endfor %}
FROM (
    SELECT
    {% for column, type in columns.values() %}
        NULL::{{ type }} AS {{ column }}{{ "" if loop.last else "," }}
    {% endfor %}
    WHERE false
{% if lines %}
    UNION ALL
    SELECT
    {% for key, (column, type) in columns.items() %}
        TRY_CAST("{{ key }}" AS {{ type }}) AS {{ column }}{{ "" if loop.last else "," }}
    {% endfor %}
    FROM read_json(
        getvariable('lines'), format = 'newline_delimited', ignore_errors = true,
        columns = { {%- for key in columns %}"{{ key }}": 'VARCHAR'{{ "" if loop.last else ", " }}{% endfor -%} }
    )
{% endif %}
{% if parquet %}
    UNION ALL
    SELECT
    {% for column, type in columns.values() %}
        {{ column }}::{{ type }} AS {{ column }}{{ "" if loop.last else "," }}
    {% endfor %}
    FROM read_parquet(getvariable('parquet'), hive_partitioning = false)
{% endif %}
)
