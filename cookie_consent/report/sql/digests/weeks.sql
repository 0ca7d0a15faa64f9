{# Which visitors have facts of a kind in which step of time. `steps` has for each day the number of its step. #}
{% macro day_steps() %}
SELECT unnest({{ steps.keys() | list }}::INTEGER[]) AS day, unnest({{ steps.values() | list }}::INTEGER[]) AS step
{% endmacro %}
{% macro visitors_by_step(kind) %}
{% for block in blocks %}
SELECT {{ "visitor_codes.code AS visitor" if loop.index0 else "visitor" }}, step
FROM {{ block.database }}.people AS facts
{% if loop.index0 %}
INNER JOIN visitor_codes ON visitor = old AND block = {{ loop.index0 }}
{% endif %}
INNER JOIN (
    SELECT step, bit_or(1::UBIGINT << (day - {{ block.first }})::UBIGINT) AS bits
    FROM ({{ day_steps() }}) WHERE day BETWEEN {{ block.since }} AND {{ block.until }} GROUP BY step
) AS steps ON days & bits <> 0
WHERE kind = {{ kind }} AND {{ block.people_of_host }} AND days & {{ block.mask }}::UBIGINT <> 0
UNION
{% endfor %}
SELECT visitor, step FROM extra_people INNER JOIN ({{ day_steps() }}) AS steps USING (day) WHERE kind = {{ kind }} GROUP BY ALL
{% endmacro %}
