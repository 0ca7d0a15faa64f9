{# The sessions of a question: those that began in the range and saw a page of the segment. A session belongs to its first
   day.

   `trail` has the `marks` of a session's records in their order, with a ; behind those of each record. It is there only if
   the question has goals or funnels. A record belongs to the last session of its guest that began before it: to the `nth`
   one. #}
{% from "activity.sql" import began, is_request %}
{% set marks = marks | default("") %}
{% set source = "chosen" if segment.tables.records == "found" else "visits" %}
{% set so_far = "OVER (PARTITION BY guest ORDER BY began, is_request, uid, starts DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)" %}
{{ create | default("CREATE TEMPORARY TABLE") }} sessions AS
{% if marks %}
WITH points AS (
    SELECT guest, first_began AS began, first_is_request AS is_request, first_uid AS uid, 1 AS starts, '' AS marks
    FROM visits
    WHERE guest IN (SELECT guest FROM {{ segment.tables.records }} WHERE marks <> '')
    UNION ALL
    SELECT guest, {{ began }}, {{ is_request }}, uid, 0, marks
    FROM {{ segment.tables.records }}
    WHERE marks <> '' AND kind <> 'request'
),
placed AS (
    SELECT *, count(*) {{ so_far }} AS place, sum(starts) {{ so_far }} AS nth FROM points
),
trails AS (
    SELECT guest AS whose,
        max(CASE WHEN starts = 1 THEN began END) AS since,
        max(CASE WHEN starts = 1 THEN uid END) AS since_uid,
        {{ in_order_of("concat(marks, ';')", "place", "marks <> ''") }} AS trail
    FROM placed
    GROUP BY guest, nth
)
SELECT asked.*, coalesce(trail, '') AS trail
FROM (
    SELECT * FROM {{ source }}
    WHERE views > 0 AND began >= {{ number("since") }} AND began < {{ number("end") }}
) AS asked
LEFT JOIN trails ON guest = whose AND first_began = since AND first_uid = since_uid
{% else %}
SELECT *
FROM {{ source }}
WHERE views > 0 AND began >= {{ number("since") }} AND began < {{ number("end") }}
{% endif %}
