{# The campaigns that sessions came from: source, medium and campaign, still encoded, with & between. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT campaign AS name, visitor FROM sessions WHERE campaign <> '&&'
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    count(DISTINCT visitor) AS visitors
{% endblock %}
