{# The sessions of a file's `records`, as sessions.sql makes them, but in one pass over sorted records: each window looks
   only at the row before, or adds up what was so far.

   - `steps`: the records of sessions in the order of guests and of time, with the numbers of their stay and session. A stay
     is the time of a guest without a pause.
   - `all_sessions`: the sessions, also those without views. `trail` has the items of each in their order: see items.sql.

   Records of one time are in the order of their uid. There are few, so `ties` has their order, and sorting compares only
   numbers. `reach` is when the activity of a guest ended so far. It is a number that the guest begins, so that it is
   greater than those of all guests before: 2**81 for each of them, and then milliseconds in parts of 2**20. A time of our
   days as a floating-point number has no finer part. #}
{% from "activity.sql" import began, ended, is_request %}
{% from "digests/trail.sql" import trail %}
{% set so_far = "OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)" %}
{% include "digests/items.sql" %};
{% set next_guest, parts = "2417851639229258349412352", "1048576" %}
CREATE OR REPLACE TEMPORARY TABLE ties AS
WITH acts AS (
    SELECT rowid AS line, guest, uid, {{ began }} AS began FROM records WHERE kind IN ('view', 'event')
)
SELECT line AS tied, row_number() OVER (PARTITION BY guest, began ORDER BY uid) AS tie
FROM acts
INNER JOIN (SELECT guest, began FROM acts GROUP BY ALL HAVING count(*) > 1) AS same USING (guest, began);
CREATE OR REPLACE TEMPORARY TABLE steps AS
WITH moments AS (
    SELECT line, guest, began, ended, there, viewed, acted, path, campaign, item
    FROM (
        SELECT records.rowid AS line, guest, {{ began }} AS began, {{ ended }} AS ended, {{ is_request }} AS burst,
            CASE WHEN kind <> 'request' THEN came END AS there,
            viewed = 1 AND kind <> 'request' AS viewed,
            kind <> 'request' AND viewed = 0 AND event <> 'page_leave' AS acted,
            path, campaign, item
        FROM records
        LEFT JOIN items ON kind <> 'request' AND page IS NOT DISTINCT FROM CASE WHEN viewed = 1 THEN path END AND sent = event
        WHERE kind IN ('view', 'event', 'request')
    )
    LEFT JOIN ties ON line = tied
    ORDER BY guest, began, burst, tie
),
guests AS (
    SELECT *, count(*) FILTER (WHERE first) {{ so_far }} AS nth
    FROM (SELECT *, guest IS DISTINCT FROM lag(guest) OVER () AS first, row_number() OVER () AS place FROM moments)
),
reached AS (
    SELECT *, max(nth * {{ next_guest }}::HUGEINT + (least(greatest(ended, -1e18), 1e18) * {{ parts }})::HUGEINT) {{ so_far }}
        AS reach
    FROM guests
),
pauses AS (
    SELECT *,
        first OR began - (lag(reach) OVER () - nth * {{ next_guest }}::HUGEINT)::DOUBLE / {{ parts }} > 1800000 AS paused
    FROM reached
),
stays AS (
    SELECT *, (count(*) FILTER (WHERE paused) {{ so_far }})::INTEGER AS stay FROM pauses
),
named AS (
    SELECT *, arg_max(campaign, place) FILTER (WHERE campaign IS NOT NULL) {{ so_far }} AS newest,
        max(stay) FILTER (WHERE campaign IS NOT NULL) {{ so_far }} AS newest_stay
    FROM stays
),
starts AS (
    SELECT *, paused OR campaign IS NOT NULL AND NOT coalesce(
        lag(newest) OVER () = campaign AND lag(newest_stay) OVER () = stay, false
    ) AS started
    FROM named
)
SELECT line, guest, began, ended, there, viewed, acted, path, item, stay,
    place,
    (count(*) FILTER (WHERE started) {{ so_far }})::INTEGER AS session,
    CASE WHEN started THEN campaign END AS campaign
FROM starts;
CREATE OR REPLACE TEMPORARY TABLE all_sessions AS
SELECT session, any_value(guest) AS guest, any_value(stay) AS stay, min(there) AS began, max(ended) - min(there) AS lasted,
    count(*) FILTER (WHERE viewed) AS views, count(*) FILTER (WHERE acted) AS acts, min(began) AS first, max(ended) AS last,
    arg_min(line, place) FILTER (WHERE viewed) AS first_line,
    arg_max(path, place) FILTER (WHERE viewed) AS exit_path,
    max(campaign) AS campaign,
    {{ trail() }} AS trail
FROM steps
GROUP BY session
