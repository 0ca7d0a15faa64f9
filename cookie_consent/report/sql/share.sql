{# All page views, and those with an access record. #}
SELECT name, sum(value) AS pages
FROM counts
WHERE name IN ('views', 'views_recorded')
GROUP BY name
