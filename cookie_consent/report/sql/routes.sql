{# Requests by route: their status and duration. A name is method, space, route. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT concat(method, ' ', CASE WHEN route = '' THEN '(no route)' ELSE route END) AS name,
        visitor, status, duration_ms
    FROM records
    WHERE kind <> 'event' AND inside = 1
{% endblock %}
{% block measures %}
    count(*) AS requests,
    {% for digit in "2345" %}
    sum(CASE WHEN status BETWEEN {{ digit }}00 AND {{ digit }}99 THEN 1 ELSE 0 END) AS status_{{ digit }},
    {% endfor %}
    {% for place, name in [(1, "p50_ms"), (2, "p95_ms"), (3, "p99_ms")] %}
    {{ quantiles("0.5, 0.95, 0.99", "duration_ms") }}[{{ place }}] AS {{ name }}{{ "" if loop.last else "," }}
    {% endfor %}
{% endblock %}
