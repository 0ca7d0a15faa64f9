{# The stays of a file into the database `db`, its sessions, its pairs of pages, and the records of stays that may go on in
   another file, or on another day. See file_sessions.sql and pairs.sql. #}
{% from "digests/days.sql" import day, hour with context %}
INSERT INTO {{ db }}.stays
SELECT guest, stay, began, ended,
    {{ day("began - " ~ near) }} <> {{ day("ended + " ~ near) }}
    OR began < (SELECT min(came) FROM records) + {{ near }}
    OR ended > (SELECT max(came) FROM records) - {{ near }}
FROM (SELECT any_value(guest) AS guest, stay, min(first) AS began, max(last) AS ended FROM all_sessions GROUP BY stay);
CREATE OR REPLACE TEMPORARY TABLE sessions AS
SELECT session, sessions.guest, stay, hosts.text AS host, visitor, began, lasted, entries.text AS entry_path, exits.text AS exit_path,
    referrers.text AS referrer, coalesce(campaigns.text, '&&') AS campaign,
    CASE WHEN views = 1 AND acts = 0 THEN 1 ELSE 0 END AS bounced, views, trail,
    {{ day("began") }} AS day, {{ hour("began") }} AS hour
FROM records
INNER JOIN (SELECT * FROM all_sessions WHERE views > 0) AS sessions ON records.rowid = first_line
INNER JOIN hosts USING (host)
INNER JOIN texts AS entries ON records.path = entries.code
INNER JOIN texts AS exits ON exit_path = exits.code
INNER JOIN texts AS referrers ON records.referrer = referrers.code
LEFT JOIN texts AS campaigns ON sessions.campaign = campaigns.code;
CREATE TABLE {{ db }}.sessions AS SELECT * EXCLUDE (session, views) FROM sessions;
CREATE TABLE {{ db }}.items AS SELECT item, text AS page, sent FROM items LEFT JOIN texts ON page = code;
CREATE TABLE {{ db }}.pairs AS
SELECT visitor, pages.text AS path, next_pages.text AS next_path, pairs.guest, host, sessions.stay, day
FROM (
    SELECT *, lead(path) OVER () AS next_path, lead(session) OVER () AS next_session
    FROM (SELECT guest, path, session FROM steps WHERE viewed)
) AS pairs
INNER JOIN (SELECT session, visitor, host, stay, day FROM sessions WHERE views > 1) AS sessions USING (session)
INNER JOIN texts AS pages ON path = pages.code
INNER JOIN texts AS next_pages ON next_path = next_pages.code
WHERE session = next_session AND path <> next_path;
CREATE TABLE {{ db }}.edges AS
SELECT uid, hosts.text AS host, came, kind, '' AS method, '' AS route, event, '' AS browser, '' AS os, '' AS device, country,
    records.viewed, exempt, 1 AS under, status, duration_ms, NULL::VARCHAR AS properties, visitor, records.guest, day,
    {{ hour("came") }} AS hour,
    CASE WHEN kind = 'request' AND status < 400 THEN '' ELSE paths.text END AS path,
    referrers.text AS referrer, coalesce(campaigns.text, '&&') AS campaign, 1 AS inside, steps.stay
FROM records
INNER JOIN (SELECT line, stay FROM steps SEMI JOIN (SELECT stay FROM {{ db }}.stays WHERE near) AS stays USING (stay)) AS steps
    ON records.rowid = line
INNER JOIN hosts USING (host)
INNER JOIN texts AS paths ON records.path = paths.code
INNER JOIN texts AS referrers ON records.referrer = referrers.code
LEFT JOIN texts AS campaigns ON records.campaign = campaigns.code;
{% for table in ("records", "ties", "steps", "all_sessions", "sessions", "items", "texts", "hosts") %}
DROP TABLE {{ table }};
{% endfor %}
