{# The visitors of blocks who have facts of a name in the range: one row for each kind, name and visitor.

   Of one day there are so few that a table of them is read sooner, because several statements read it. #}
{% from "digests/of_block.sql" import in_range, joined, name, untouched, visitor with context %}
{% set as_table = blocks | length > 1 or is_one_day %}
CREATE OR REPLACE TEMPORARY {{ "TABLE kept_of_blocks" if as_table else "VIEW kept" }} AS
{% if not blocks %}
SELECT 0::UTINYINT AS kind, 0::UINTEGER AS name, 0::UINTEGER AS visitor WHERE false
{% endif %}
{% for block in blocks %}
{% set place = loop.index0 %}
FROM (
SELECT kind, {{ name(place) }}, {{ visitor(place) }}
FROM {{ block.database }}.people AS facts {{ joined(place, visitors=true) }}
WHERE days & {{ block.mask }}::UBIGINT <> 0 AND {{ block.people_of_host }}
UNION ALL
SELECT DISTINCT kind, {{ name(place) }}, {{ visitor(place) }}
FROM {{ block.database }}.recent AS facts {{ joined(place, visitors=true) }}
WHERE {{ in_range(block) }} AND visitor IS NOT NULL
    AND {{ "all_days" if block.host is none else "host_days" }} & {{ block.mask }}::UBIGINT = 0 {{ untouched() }}
)
{{ "" if loop.last else "UNION" }}
{% endfor %}{{ ";
CREATE OR REPLACE TEMPORARY VIEW kept AS FROM kept_of_blocks" if as_table }}
