{# Pages by views, and how long they were visible. #}
{% extends "grouped.sql" %}
{% set sorted_by, people = "sum(viewed)", "count(DISTINCT CASE WHEN viewed = 1 THEN visitor END)" %}
{% block facts %}
    SELECT path AS name, visitor, viewed, CASE WHEN event = 'page_leave' THEN duration_ms / 1000.0 END AS seconds
    FROM records
    WHERE inside = 1 AND (viewed = 1 OR event = 'page_leave')
{% endblock %}
{% block measures %}
    sum(viewed) AS views,
    count(DISTINCT CASE WHEN viewed = 1 THEN visitor END) AS visitors,
    {{ quantile("0.5", "seconds") }} AS median_seconds
{% endblock %}
