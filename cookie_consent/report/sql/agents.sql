{# Visitors by a property of their user agents, `column`. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(DISTINCT visitor)" %}
{% block facts %}
    SELECT CASE WHEN {{ column }} = '' THEN '(unknown)' ELSE {{ column }} END AS name, visitor
    FROM records
    WHERE viewed = 1 AND inside = 1
{% endblock %}
{% block measures %}
    count(DISTINCT visitor) AS visitors,
    count(*) AS views
{% endblock %}
