{# New visitors by the week of their first view. #}
{% extends "retention.sql" %}
{% block weeks %}
    {% from "digests/weeks.sql" import visitors_by_step with context %}
    SELECT visitor, step AS week
    FROM ({{ visitors_by_step(consented) }})
    WHERE visitor NOT IN (SELECT visitor FROM earlier)
{% endblock %}
