{# Whether a filter of a segment holds. #}
{% from "channel.sql" import channel %}
{% from "sites.sql" import site_of_address %}
{% macro holds(filter) %}
{% set column, value = "coalesce(" ~ filter.key.column ~ ", '')", text(filter.parameter) %}
{% if filter.test.value == "prefix" %}
substring({{ column }}, 1, length({{ value }})) = {{ value }}
{%- elif filter.test.value == "site" %}
{{ site_of_address(column) }} = {{ value }}
{%- elif filter.test.value == "channel" %}
{{ channel("referrer", "campaign") }} = {{ value }}
{%- elif filter.test.value == "returning" %}
CASE WHEN visitor IN (SELECT visitor FROM earlier) THEN 'yes' ELSE 'no' END = {{ value }}
{%- elif filter.test.value == "named" %}
{{ matched(column, "&([^&]*)$") }} = {{ value }}
{%- else %}
{{ column }} = {{ value }}
{%- endif %}
{% endmacro %}
