{# The records of a file as numbers, for its digest: what records.sql makes, but a code for each text. Windows, groups and
   joins of numbers are several times faster.

   - `texts`: the text of each code.
   - `hosts`: the hosts, each with the number that it has in the digest.
   - `records`: the records. `campaign` is NULL where there is none. #}
{% from "digests/days.sql" import day, hour with context %}
{% from "digests/text_code.sql" import code, code_of_campaign, text_of_campaign with context %}
{% from "sites.sql" import site_of_address %}
{% set own_page = matched("referrer", "^[a-z][a-z0-9+.-]*://[^/]*(/[^ ?#]*)") %}
CREATE OR REPLACE TEMPORARY TABLE texts AS
SELECT {{ code("text") }} AS code, text
FROM (
    SELECT '(internal)' AS text
    UNION SELECT ''
    {% for column in coded %}
    UNION SELECT * FROM (SELECT DISTINCT {{ column }} FROM access_records)
    {% endfor %}
    UNION SELECT {{ own_page }} FROM (SELECT DISTINCT referrer FROM access_records)
)
WHERE text IS NOT NULL
UNION ALL
SELECT {{ code_of_campaign("query") }}, any_value({{ text_of_campaign("query") }})
FROM (SELECT DISTINCT query FROM access_records WHERE query <> '')
GROUP BY ALL;
CREATE OR REPLACE TEMPORARY TABLE hosts AS
SELECT text, {{ code("text") }} AS host_code, (row_number() OVER ())::UINTEGER AS host
FROM (SELECT DISTINCT coalesce(host, '') AS text FROM access_records);
CREATE OR REPLACE TEMPORARY TABLE visitors AS
SELECT visitor AS id, {{ keyed("visitor", text("key")) }} AS number
FROM (SELECT DISTINCT visitor FROM access_records WHERE visitor IS NOT NULL);
CREATE OR REPLACE TEMPORARY TABLE records AS
WITH known AS (
    SELECT uid, {{ milliseconds("time") }} AS came, visitor, purpose,
        CASE WHEN kind = 'view' AND coalesce(status, 0) >= 400 THEN 'request' ELSE kind END AS kind,
        kind = 'event' AS is_event,
        coalesce(event, '') AS event,
        coalesce(country, '') AS country,
        coalesce(status, 0) AS status,
        coalesce(duration_ms, 0) AS duration_ms,
        {% for column in coded %}
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
    hosts.host,
    coalesce(visitors.number, {{ keyed("uid", text("key")) }}) AS visitor,
    hash(coalesce(visitors.number, {{ keyed("uid", text("key")) }}), hosts.text) AS guest,
    {{ day("came") }} AS day, {{ hour("came") }} AS hour,
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
FROM known
INNER JOIN hosts ON known.host = host_code
LEFT JOIN visitors ON visitor = id
