{# The records of a file as numbers, for its digest: what records.sql makes, but a code for each text. Windows, groups and
   joins of numbers are several times faster.

   - `texts`: the text of each code.
   - `hosts`: the hosts, each with the number that it has in the digest.
   - `records`: the records. `campaign` is NULL where there is none. #}
{% from "digests/days.sql" import day with context %}
{% from "digests/text_code.sql" import code, code_of_campaign, text_of_campaign with context %}
{% from "sites.sql" import site_of_address %}
{% set own_page = matched("referrer", "^[a-z][a-z0-9+.-]*://[^/]*(/[^ ?#]*)") %}
CREATE OR REPLACE TEMPORARY TABLE texts AS
SELECT {{ code("text") }} AS code, text
FROM (
    SELECT '(internal)' AS text
    UNION SELECT ''
    {% for column in coded if column != "host" %}
    UNION SELECT * FROM (SELECT DISTINCT {{ column }} FROM access_records)
    {% endfor %}
    UNION SELECT {{ own_page }} FROM (SELECT DISTINCT referrer FROM access_records)
)
WHERE text IS NOT NULL
UNION ALL
SELECT {{ code_of_campaign("query") }}, any_value({{ text_of_campaign("query") }})
FROM (SELECT DISTINCT query FROM access_records WHERE query <> '')
GROUP BY ALL;
SET VARIABLE hosts = (SELECT list(DISTINCT coalesce(host, '')) FROM access_records);
CREATE OR REPLACE TEMPORARY TABLE hosts AS
SELECT unnest(getvariable('hosts')) AS text, unnest(range(1, len(getvariable('hosts')) + 1))::UINTEGER AS host;
CREATE OR REPLACE TEMPORARY TABLE records AS
WITH known AS (
    SELECT uid, {{ milliseconds("time") }} AS came, purpose,
        {{ keyed("visitor", text("key")) }} AS visitor,
        coalesce(host, '') AS host_text,
        coalesce(list_position(getvariable('hosts'), host), list_position(getvariable('hosts'), ''))::UINTEGER AS host,
        CASE WHEN kind = 'view' AND coalesce(status, 0) >= 400 THEN 'request' ELSE kind END AS kind,
        kind = 'event' AS is_event,
        coalesce(event, '') AS event,
        coalesce(country, '') AS country,
        coalesce(status, 0) AS status,
        coalesce(duration_ms, 0) AS duration_ms,
        {% for column in coded if column != "host" %}
        {{ code(column) }} AS {{ column }},
        {% endfor %}
        {{ code(site_of_address("referrer")) }} AS site,
        {{ code("regexp_replace(host, '^www[.]', '')") }} AS own_site,
        {{ code(own_page) }} AS own_page,
        {{ code_of_campaign("query") }} AS campaign,
        {{ code("properties") }} AS properties
    FROM access_records
    WHERE time >= {{ moment(number("read_since")) }} AND time < {{ moment(number("read_end")) }}
)
SELECT
    uid, came, kind, event, country, path, method, route, browser, os, device, status, duration_ms, properties,
    host, visitor, hash(visitor, host_text) AS guest, {{ day("came") }} AS day,
    (CASE WHEN kind = 'view' OR event = 'page_view' THEN 1 ELSE 0 END)::UTINYINT AS viewed,
    (CASE WHEN NOT is_event AND coalesce(purpose, '') <> '' THEN 1 ELSE 0 END)::UTINYINT AS exempt,
    CASE
        WHEN NOT (kind = 'view' OR event = 'page_view' OR status >= 400) OR referrer = {{ code("''") }} THEN {{ code("''") }}
        WHEN site <> own_site THEN referrer
        WHEN status < 400 THEN {{ code("''") }}
        WHEN own_page = {{ code("''") }} THEN {{ code("'(internal)'") }}
        ELSE own_page
    END AS referrer,
    CASE WHEN kind <> 'request' THEN nullif(campaign, {{ code_of_campaign("''") }}) END AS campaign
FROM known;
UPDATE records
SET visitor = {{ keyed("uid", text("key")) }},
    guest = hash({{ keyed("uid", text("key")) }}, getvariable('hosts')[host])
WHERE visitor IS NULL
