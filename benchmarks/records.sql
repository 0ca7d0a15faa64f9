-- Records like those of a site of some size, the same each time: ten in a session, of which three are views, five other
-- requests and two events. Visitors come again; there are popular pages and rare ones.
CREATE TABLE records AS
WITH written AS (  -- one in 5,000 is written twice, and the next one never
    SELECT CASE WHEN hash(range) % 5000 = 0 THEN greatest(range - 1, 0) ELSE range END AS i FROM range($end)
),
numbers AS (
    SELECT i, i // 10 AS s, (i % 10)::INTEGER AS n FROM written
),
drawn AS (
    SELECT i, s, n, hash(s) AS a, hash(s + 1_000_000_007) AS b, hash(i + 2_000_000_011) AS c FROM numbers
),
shaped AS (
    SELECT *,
        $begin + (a % $length)::BIGINT + n * 23000 + (c % 900)::BIGINT AS came,
        CASE WHEN n IN (0, 4, 7) THEN 'view' WHEN n IN (3, 9) THEN 'event' ELSE 'request' END AS kind,
        (pow((c % 100_000) / 100_000.0, 4) * 600)::INTEGER AS page,
        (pow((b % 100_000) / 100_000.0, 2) * $visitors)::BIGINT AS who
    FROM drawn
)
SELECT
    make_timestamp(came * 1000) AS time,
    'Zm9vYmFyYmF6cXV4-' || printf('%x', i) AS uid,
    kind,
    CASE WHEN kind <> 'event' THEN 'GET' END AS method,
    CASE WHEN who % 5 = 0 THEN 'shop.example' ELSE 'registry.example' END AS host,
    CASE WHEN kind = 'request' THEN '/static/part-' || n || '.js' ELSE '/pages/item-' || page END AS path,
    CASE kind WHEN 'view' THEN '/pages/{item}' WHEN 'request' THEN '/static/{file}' END AS route,
    CASE WHEN n = 0 AND a % 6 = 0 THEN 'utm_source=letter&utm_medium=mail&utm_campaign=month-' || (b % 12) END AS query,
    CASE WHEN n = 0 THEN CASE WHEN b % 3 = 0 THEN 'https://search-' || (a % 40) || '.example' END
        ELSE 'https://registry.example/pages/item-' || (a % 600) END AS referrer,
    CASE WHEN kind <> 'event' THEN '2' END AS protocol,
    CASE WHEN kind <> 'event' THEN CASE WHEN c % 50 = 0 THEN 404 WHEN c % 900 = 0 THEN 500 ELSE 200 END END AS status,
    round(CASE WHEN n = 3 THEN 1000 + (c % 300_000) WHEN n <> 9 THEN 1 + (c % 40_000) / 300.0 END, 3) AS duration_ms,
    substr(md5(who::VARCHAR), 1, 22) AS visitor,
    '192.0.' || (who % 256) || '.0' AS address,
    ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet'][1 + (who % 5)] AS browser,
    ['Windows', 'iOS', 'Android', 'Mac OS X', 'Linux'][1 + (who // 5 % 5)] AS os,
    ['pc', 'mobile', 'mobile', 'tablet', 'pc'][1 + (who // 5 % 5)] AS device,
    CASE WHEN who % 7 < 5 THEN ['JP', 'DE', 'US', 'FR', 'BR'][1 + (who % 7)] END AS country,
    '1f0c9a7be24d5580' AS policy,
    NULL::VARCHAR AS purpose,
    CASE n WHEN 3 THEN 'page_leave' WHEN 9 THEN 'download' END AS event,
    CASE n WHEN 9 THEN '{"file":"prices.pdf"}' END AS properties
FROM shaped;
CREATE TABLE counts AS
SELECT
    (DATE '1970-01-01' + day::INTEGER)::TIMESTAMP + INTERVAL 23 HOUR AS time,
    'count-' || day || '-' || language || '-' || name AS uid,
    DATE '1970-01-01' + day::INTEGER AS day,
    'registry.example' AS host, language, name, CASE name WHEN 'degraded' THEN 'map' END AS detail, value
FROM range($first_day, $end_day) days(day), (VALUES ('ja'), ('en')) languages(language), (VALUES ('views', 9000),
    ('views_recorded', 4000), ('asked', 2500), ('granted', 900), ('refused', 500), ('partial', 100), ('withdrawn', 9),
    ('signal', 300), ('degraded', 700)) names(name, value);
