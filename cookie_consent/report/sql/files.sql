{# A view of files that has the columns of a database table. Two variables of DuckDB have the file names. They are read
   whenever the view is, so each view has its own.

   Erased lines are spaces, and a killed process leaves a torn line. Both read as NULL in every column, so no range of times
   or days contains them. #}
CREATE OR REPLACE TEMPORARY VIEW {{ view }} AS
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
    getvariable('lines_of_{{ view }}'), format = 'newline_delimited', ignore_errors = true,
    columns = { {%- for key in columns %}"{{ key }}": 'VARCHAR'{{ "" if loop.last else ", " }}{% endfor -%} }
)
{% endif %}
{% if parquet %}
UNION ALL
SELECT
{% for column, type in columns.values() %}
    {{ column }}::{{ type }} AS {{ column }}{{ "" if loop.last else "," }}
{% endfor %}
FROM read_parquet(getvariable('parquet_of_{{ view }}'), hive_partitioning = false)
{% endif %}
