{# Whether a filter of a segment holds. #}
{% from "sites.sql" import site_of_address %}
{% macro holds(filter) %}
{% set column, value = "coalesce(" ~ filter.key.column ~ ", '')", text(filter.parameter) %}
{% if filter.test == "prefix" %}
substring({{ column }}, 1, length({{ value }})) = {{ value }}
{%- elif filter.test == "site" %}
{{ site_of_address(column) }} = {{ value }}
{%- elif filter.test == "returning" %}
CASE WHEN visitor IN (SELECT visitor FROM earlier) THEN 'yes' ELSE 'no' END = {{ value }}
{%- elif filter.test == "property" %}
uid IN (
    SELECT whose
    FROM (
        SELECT uid AS whose, event AS of_event, {{ key_of("pair") }} AS key, {{ raw_of("pair") }} AS raw
        FROM (
            SELECT uid, event, {{ each_pair("properties") }} AS pair FROM found WHERE properties IS NOT NULL
        ) AS pairs
    ) AS written
    WHERE substring(raw, 1, 1) IN ('"', 't', 'f')
        AND concat(of_event, ':', key, '=', CASE WHEN substring(raw, 1, 1) = '"' THEN {{ unquoted("raw") }} ELSE raw END) = {{ value }}
)
{%- elif filter.test == "named" %}
{{ matched(column, "&([^&]*)$") }} = {{ value }}
{%- else %}
{{ column }} = {{ value }}
{%- endif %}
{% endmacro %}
