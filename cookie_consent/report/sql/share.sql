{# How many of the pages that people saw have an access record. #}
SELECT name, sum(value) AS pages
FROM counts
WHERE name IN ('views', 'views_recorded')
GROUP BY name
