{# Pages by the time that the server took for them. Views that scripts report have no such time. #}
{% extends "grouped.sql" %}
{% set sorted_by = quantile("0.95", "duration_ms") %}
{% block facts %}
    SELECT path AS name, visitor, duration_ms FROM records WHERE kind = 'view' AND inside = 1
{% endblock %}
{% block measures %}
    {{ quantiles("0.5, 0.95", "duration_ms") }}[2] AS p95_ms,
    {{ quantiles("0.5, 0.95", "duration_ms") }}[1] AS p50_ms,
    count(*) AS requests
{% endblock %}
