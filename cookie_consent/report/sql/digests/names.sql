{# Give codes to the texts in `column` of `table` that have none. #}
INSERT INTO {{ names }}
SELECT (SELECT count(*) FROM {{ names }}) + row_number() OVER (), {{ column }}
FROM (SELECT DISTINCT {{ column }} FROM {{ table }} WHERE {{ column }} NOT IN (SELECT text FROM {{ names }}))
