{# The measures of a row of `figures.py`, named `figure`: one row for each of its names, or one alone. #}
{% from "measures.sql" import counted, label, measures with context %}
{% set are_named = figure.names | selectattr("sql") | list %}
SELECT {{ label(figure) ~ " AS label, " if are_named }}{{ measures(figure) }}
FROM {{ counted(figure) }}
{{ "GROUP BY " ~ label(figure) if are_named }}
