{# Sessions by what they came from or began with, and how many of them reached a goal. A list sets `column`. #}
{% extends "grouped.sql" %}
{% set sorted_by = "sum(reached)" %}
{% block facts %}
    SELECT {{ column }} AS name, visitor, CASE WHEN position({{ text("goal") }} IN trail) > 0 THEN 1 ELSE 0 END AS reached
    FROM sessions
    {{ only | default("") }}
{% endblock %}
{% block measures %}
    sum(reached) AS reached,
    count(*) AS sessions
{% endblock %}
