{# The texts and booleans that events bring, by event, property and value. A name has unit separators between these. #}
{% from "told.sql" import told with context %}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT visitor, concat(
        event, '{{ "\u001f" }}', key, '{{ "\u001f" }}',
        CASE WHEN substring(raw, 1, 1) = '"' THEN {{ unquoted("raw") }} ELSE raw END
    ) AS name
    FROM ({{ told() }}) AS told
    WHERE substring(raw, 1, 1) IN ('"', 't', 'f')
{% endblock %}
{% block measures %}
    count(*) AS events,
    count(DISTINCT visitor) AS visitors
{% endblock %}
