{# How routes answered, and how fast: all records of requests. The name is the method, a space and the route. #}
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
    {{ quantile("0.5", "duration_ms") }} AS p50_ms,
    {{ quantile("0.95", "duration_ms") }} AS p95_ms,
    {{ quantile("0.99", "duration_ms") }} AS p99_ms
{% endblock %}
