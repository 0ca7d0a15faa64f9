{# Requests for pages that do not exist (404), and where they came from. Sources of few visitors are joined for each path. #}
WITH asked AS (
    SELECT path, CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END AS site, visitor
    FROM records
    WHERE status = 404 AND kind <> 'event' AND inside = 1
),
sites AS (
    SELECT path, site, count(DISTINCT visitor) AS people FROM asked GROUP BY path, site
)
SELECT path, visitor, CASE WHEN people < {{ number("threshold") }} THEN '(other)' ELSE site END AS source
FROM asked
INNER JOIN sites USING (path, site)
