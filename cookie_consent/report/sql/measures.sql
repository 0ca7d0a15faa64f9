{# What a row of `figures.py` counts, how its groups are named, and what measures them. #}
{% from "local_time.sql" import step_of with context %}
{% set tables = ("records", "viewers", "sessions", "pairs", "counts", "properties") %}
{% macro counted(figure) %}
{% if figure.table in tables %}
{{ figure.table }} AS counted
{%- else %}
(
{% include figure.table ~ ".sql" %}

) AS counted
{%- endif %}
{{- " WHERE " ~ figure.condition if figure.condition }}
{%- endmacro %}
{# Names with a unit separator (ASCII) between them. #}
{% macro label(figure) %}
{% set names = figure.names | map(attribute="sql") | select | list %}
{% if step is defined %}
{{ step_of(step, names[0]) }}
{%- elif names | length > 1 %}
concat({{ names | join(", '\u001f', ") }})
{%- else %}
{{ names[0] }}
{%- endif %}
{% endmacro %}
{# All quantiles of a figure have the same values, which are sorted only once. #}
{% macro measure(figure, column) %}
{% set shares = figure.measures | map(attribute="quantile") | reject("none") | list %}
{% if column.quantile is none %}
{{ column.sql }}
{%- elif shares | length == 1 %}
{{ quantile(column.quantile, column.sql) }}
{%- else %}
{{ quantiles(shares | join(", "), column.sql) }}[{{ shares.index(column.quantile) + 1 }}]
{%- endif %}
{% endmacro %}
{% macro measures(figure) %}
{% for column in figure.measures if column.sql %}
{{ measure(figure, column) }} AS row_{{ column.key }}
{%- if column.people %}, {{ column.people }} AS people_{{ column.key }}{% endif %}
{{- "" if loop.last else "," }}
{% endfor %}
{%- endmacro %}
{% macro names_of_measures(figure) %}
{% for column in figure.measures if column.sql %}
row_{{ column.key }}{% if column.people %}, people_{{ column.key }}{% endif %}{{ "" if loop.last else ", " }}
{%- endfor %}
{% endmacro %}
