{# Sessions by channel. #}
{% extends "grouped.sql" %}
{% from "channel.sql" import channel %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT {{ channel("referrer", "campaign") }} AS name, visitor FROM sessions
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    count(DISTINCT visitor) AS visitors
{% endblock %}
