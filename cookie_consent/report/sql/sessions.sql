{# The sessions of the records in a relation `of_records`.

   A session has one visitor on one host. It ends after 30 minutes without activity, or when a page's address names another
   campaign than the session began with. Activity lasts from a request to the end of its response. After a "page_leave"
   event, it covers the time that the page was visible. Requests that are neither views nor events prolong a session, but
   begin none.

   Such requests are many. Those within half an hour are joined into one row, a burst, because there is no pause between
   them. A page address with a campaign ends a burst, because another session may begin there.

   All sessions are here, also those without views, and the place at which each begins: its first record is sorted by
   `began`, `is_request` and `uid`. See activity.sql.

   An engine with little memory for sorting makes them in `parts`, one `part` at a time. A session has one visitor, so it is
   always in one part. #}
{% from "activity.sql" import began, ended, is_request %}
{% from "channel.sql" import channel %}
{% set of_records = of_records if of_records is defined else segment.tables.records %}
{% set part, parts = part | default(0), parts | default(1) %}
{% set of_part = "AND guest % " ~ parts ~ " = " ~ part if parts > 1 else "" %}
{% set in_order = "OVER (PARTITION BY guest ORDER BY began, burst, uid ROWS BETWEEN UNBOUNDED PRECEDING AND" %}
{% set by_place = "OVER (PARTITION BY guest ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND" %}
{{ "INSERT INTO" if part else create | default("CREATE TEMPORARY TABLE") }} {{ target | default("visits") }} {{ "" if part else "AS" }}
WITH moments AS (
    SELECT guest, visitor, host, came, {{ began }} AS began, {{ ended }} AS ended,
        {{ is_request }} AS burst
    FROM {{ of_records }}
    WHERE (kind = 'request' OR campaign <> '&&') {{ of_part }}
),
spans AS (
    SELECT guest, visitor, host, came, began, ended, burst, sum(1 - burst) OVER (
        PARTITION BY guest ORDER BY began, burst ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS span
    FROM moments
),
activity AS (
    SELECT guest, visitor, uid, 0 AS burst, came AS there, {{ began }} AS began, {{ ended }} AS ended,
        path, referrer, campaign, viewed, host,
        CASE WHEN viewed = 1 OR event = 'page_leave' THEN 0 ELSE 1 END AS acted
    FROM {{ of_records }}
    WHERE kind IN ('view', 'event') {{ of_part }}
    UNION ALL
    SELECT guest, min(visitor), '', 1, NULL, min(began), max(ended), '', '', '&&', 0, min(host), 0
    FROM spans
    WHERE burst = 1
    GROUP BY guest, span, {{ whole("came", "1800000") }}
),
pauses AS (
    SELECT *,
        count(*) {{ in_order }} CURRENT ROW) AS place,
        CASE
            WHEN began - coalesce(max(ended) {{ in_order }} 1 PRECEDING), 0) > 1800000 THEN 1 ELSE 0
        END AS paused
    FROM activity
),
stays AS (
    SELECT *, sum(paused) {{ by_place }} CURRENT ROW) AS stay FROM pauses
),
campaigns AS (
    SELECT guest AS whose, place AS since, CASE
        WHEN campaign <> coalesce(lag(campaign, 1, '&&') OVER (PARTITION BY guest, stay ORDER BY place), '&&') THEN 1
        ELSE 0
    END AS another
    FROM stays
    WHERE campaign <> '&&'
),
starts AS (
    SELECT stays.*, CASE WHEN paused = 1 OR coalesce(another, 0) = 1 THEN 1 ELSE 0 END AS started
    FROM stays
    LEFT JOIN campaigns ON guest = whose AND place = since
),
steps AS (
    SELECT *, sum(started) {{ by_place }} CURRENT ROW) AS session FROM starts
),
wholes AS (
    SELECT
        guest, visitor, host, session,
        min(there) AS began,
        max(ended) - min(there) AS lasted,
        sum(viewed) AS views,
        sum(acted) AS acts,
        {{ first("path", "place", "viewed = 1") }} AS entry_path,
        {{ last("path", "place", "viewed = 1") }} AS exit_path,
        {{ texts_in_order("path", "place", "viewed = 1") }} AS pages,
        {{ first("referrer", "place", "viewed = 1") }} AS referrer,
        {{ first("campaign", "place", "viewed >= 0") }} AS campaign,
        {{ first("began", "place", "viewed >= 0") }} AS first_began,
        {{ first("burst", "place", "viewed >= 0") }} AS first_is_request,
        {{ first("uid", "place", "viewed >= 0") }} AS first_uid
    FROM steps
    GROUP BY guest, visitor, host, session
)
SELECT
    visitor, guest, host, began, lasted, views, entry_path, exit_path, referrer, campaign, pages,
    CASE WHEN views = 1 AND acts = 0 THEN 1 ELSE 0 END AS bounced,
    first_began, first_is_request, first_uid,
    {{ channel("referrer", "campaign") }} AS channel
FROM wholes
