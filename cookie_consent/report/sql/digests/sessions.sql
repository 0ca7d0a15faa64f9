{# The sessions of `records`, and to which stay each belongs: the time of a guest without a pause of 30 minutes.

   `all_sessions` also has those without views. #}
{% from "digests/days.sql" import day, hour with context %}
CREATE OR REPLACE TEMPORARY TABLE all_sessions AS
WITH pauses AS (
    SELECT *, first - max(last) OVER (
        PARTITION BY guest ORDER BY first, began ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS pause
    FROM sessions
)
SELECT pauses.*, host, sum(CASE WHEN pause <= 1800000 THEN 0 ELSE 1 END) OVER (
        PARTITION BY guest ORDER BY first, began ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )::INTEGER AS stay
FROM pauses
INNER JOIN (SELECT DISTINCT guest, host FROM records) AS guests USING (guest);
DROP TABLE sessions;
CREATE TEMPORARY TABLE sessions AS
SELECT guest, stay, host, visitor, began, lasted, entry_path, exit_path, referrer, campaign, bounced, views, first_view,
    {{ "trail," if with_items is defined }}
    {{ day("began") }} AS day, {{ hour("began") }} AS hour
FROM all_sessions
WHERE viewed AND began >= {{ number("since") }} AND began < {{ number("end") }};
