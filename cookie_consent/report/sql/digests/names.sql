{# Give codes to the texts of `facts`, and to the names of values of `kinds` without other facts. `known` has the codes so
   far; the new ones go into `names`. #}
INSERT INTO {{ names }}
SELECT (SELECT coalesce(max(code), 0) FROM {{ known }}) + row_number() OVER (), fresh.text
FROM {{ known }} AS known
RIGHT JOIN (
    SELECT name AS text FROM facts
    UNION
    SELECT host FROM facts
    {% for kind in kinds if kind.value and kind.value_where != kind.where %}
    UNION
    SELECT {{ kind.name }} FROM {{ kind.table }} WHERE {{ kind.value_where }} AND inside = 1
    {% endfor %}
) AS fresh ON known.text = fresh.text
WHERE known.text IS NULL
