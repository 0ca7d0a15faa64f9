{# For each visitor of `records`, a number that only the key gives. #}
CREATE TEMPORARY TABLE keyed AS
SELECT plain, {{ keyed("plain", text("key")) }} AS person
FROM (SELECT DISTINCT visitor AS plain FROM records) AS visitors
