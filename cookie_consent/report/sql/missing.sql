{# Requests for pages that do not exist (404), by path and where they came from. A name is source, space, path.

   Sources of few visitors are joined for each path. A source has no space. #}
{% extends "grouped.sql" %}
{% set sorted_by = "count(*)" %}
{% set asked %}
        SELECT path, CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END AS source, visitor
        FROM records
        WHERE status = 404 AND kind <> 'event' AND inside = 1
{% endset %}
{% block facts %}
    SELECT concat(CASE WHEN people < {{ number("threshold") }} THEN '(other)' ELSE source END, ' ', path) AS name, visitor
    FROM (
{{ asked }}
    ) AS asked
    INNER JOIN (
        SELECT path, source, count(DISTINCT visitor) AS people
        FROM (
{{ asked }}
        ) AS again
        GROUP BY path, source
    ) AS sources USING (path, source)
{% endblock %}
{% block measures %}
    count(*) AS requests,
    count(DISTINCT visitor) AS visitors
{% endblock %}
