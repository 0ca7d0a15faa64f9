{# Sessions by what they came from or began with, and how many of them reached a goal. A list sets `column`.

   `reached` is NULL if it stands for fewer visitors than the threshold. #}
{% extends "grouped.sql" %}
{% set sorted_by = "sum(reached)" %}
{% block facts %}
    SELECT {{ column }} AS name, visitor, CASE WHEN position({{ text("goal") }} IN trail) > 0 THEN 1 ELSE 0 END AS reached
    FROM sessions
    {{ only | default("") }}
{% endblock %}
{% block measures %}
    CASE
        WHEN count(DISTINCT CASE WHEN reached = 1 THEN visitor END) BETWEEN 1 AND {{ number("threshold") }} - 1 THEN NULL
        ELSE sum(reached)
    END AS reached,
    count(*) AS sessions
{% endblock %}
