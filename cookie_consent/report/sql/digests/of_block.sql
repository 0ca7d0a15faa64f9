{# Rows of blocks in the range, with the codes of the first. `place` is that of the block.

   Recent sessions count unless a record without a digest goes on with them: then `touched` has them. #}
{% macro joined(place, names=true, visitors=false) %}
{% if place and names %}
INNER JOIN codes ON facts.name = codes.old AND codes.block = {{ place }}
{% endif %}
{% if place and visitors %}
INNER JOIN visitor_codes ON facts.visitor = visitor_codes.old AND visitor_codes.block = {{ place }}
{% endif %}
{% endmacro %}
{% macro name(place) %}{{ "codes.code AS name" if place else "name" }}{% endmacro %}
{% macro visitor(place) %}{{ "visitor_codes.code AS visitor" if place else "visitor" }}{% endmacro %}
{% macro in_range(block) %}day BETWEEN {{ block.since }} AND {{ block.until }} AND {{ block.of_host }}{% endmacro %}
{% macro untouched() %}
{% if is_touched %}
AND NOT EXISTS (SELECT 1 FROM touched WHERE touched.guest = facts.guest AND touched.began = stay_began)
{% endif %}
{% endmacro %}
{% macro of_blocks(table, recent, columns) %}
{% for block in blocks %}
{% set place = loop.index0 %}
SELECT kind, {{ name(place) }}, {{ columns }}
FROM {{ block.database }}.{{ table }} AS facts {{ joined(place) }}
WHERE {{ in_range(block) }}
UNION ALL
SELECT kind, {{ name(place) }}, {{ columns if columns != "bucket, n" else "bucket, 1" }}
FROM {{ block.database }}.{{ recent }} AS facts {{ joined(place) }}
WHERE {{ in_range(block) }} {{ untouched() }}
UNION ALL
{% endfor %}
{% endmacro %}
