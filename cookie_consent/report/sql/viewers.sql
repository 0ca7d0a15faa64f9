{# Visitors with views in the range, and the number of these views. Most visitors have one row. #}
{{ create | default("CREATE TEMPORARY TABLE") }} viewers AS
SELECT visitor, host, browser, os, device, country, count(*) AS views
FROM records
WHERE viewed = 1 AND inside = 1
GROUP BY visitor, host, browser, os, device, country
