{# The numbers that events bring, by event and property. A name is event, unit separator, property. #}
{% from "told.sql" import told with context %}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT concat(event, '{{ "\u001f" }}', key) AS name, visitor, {{ decimal("raw") }} AS value
    FROM ({{ told() }}) AS told
    WHERE substring(raw, 1, 1) NOT IN ('"', 't', 'f')
{% endblock %}
{% block measures %}
    count(*) AS events,
    count(DISTINCT visitor) AS visitors,
    sum(value) AS total,
    {{ quantiles("0.5, 0.95", "value") }}[1] AS p50,
    {{ quantiles("0.5, 0.95", "value") }}[2] AS p95
{% endblock %}
