{# Sessions by campaign. A name is source, medium and campaign, URL-encoded and joined with &. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT campaign AS name, visitor FROM sessions WHERE campaign <> '&&'
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    count(DISTINCT visitor) AS visitors
{% endblock %}
