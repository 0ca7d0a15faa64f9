{# Pages, `here`, and those seen just before or after them, `beside`. A name is both, with a unit separator (ASCII). #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT concat({{ here }}, '{{ "\x1f" }}', {{ beside }}) AS name, visitor FROM pairs WHERE {{ wanted }} = 1
{% endblock %}
{% block measures %}
    count(*) AS times,
    count(DISTINCT visitor) AS visitors
{% endblock %}
