{# Sessions by channel. Few combinations of site and campaign have many sessions, so each combination is looked up once.
   DuckDB moves what is computed on one side of a join behind it, unless it is a part of DISTINCT. #}
{% extends "grouped.sql" %}
{% from "channel.sql" import channel %}
{% set sorted_by = "count(*)" %}
{% block facts %}
    SELECT way AS name, visitor
    FROM sessions
    INNER JOIN (
        SELECT DISTINCT referrer, campaign, {{ channel("referrer", "campaign") }} AS way
        FROM (SELECT DISTINCT referrer, campaign FROM sessions) AS combinations
    ) AS ways USING (referrer, campaign)
{% endblock %}
{% block measures %}
    count(*) AS sessions,
    count(DISTINCT visitor) AS visitors
{% endblock %}
