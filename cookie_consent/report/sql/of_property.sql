{# Events of one name, `event`, by a text that they bring, `property`. #}
{% from "told.sql" import told with context %}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT {{ unquoted("raw") }} AS name, visitor
    FROM ({{ told() }}) AS told
    WHERE event = '{{ event }}' AND key = '{{ property }}' AND substring(raw, 1, 1) = '"'
{% endblock %}
{% block measures %}
    count(*) AS events,
    count(DISTINCT visitor) AS visitors
{% endblock %}
