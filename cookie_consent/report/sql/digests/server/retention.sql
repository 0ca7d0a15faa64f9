{# New visitors by the week of their first view. #}
{% extends "retention.sql" %}
{% block weeks %}
    {% from "digests/server/of_kind.sql" import of_kind with context %}
    {% from "digests/server/steps.sql" import step with context %}
    SELECT visitor, week FROM (
        SELECT DISTINCT {{ step("day") }} AS week, {{ each("visitors") }} AS visitor
        FROM ({{ of_kind(numbers.consented, "day, visitors") }}) AS facts
    ) AS seen
    WHERE visitor NOT IN (SELECT visitor FROM earlier)
{% endblock %}
