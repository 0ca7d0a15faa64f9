{# Who of the digested has facts of which name in the range: one row for each visitor, name and kind.

   `blocks` has for each block: its database, the days as bits, and SQL for the host. Names have the codes of the first. #}
{% set as_view = blocks | length < 2 %}
CREATE OR REPLACE TEMPORARY {{ "VIEW" if as_view else "TABLE" }} kept AS
{% if not blocks %}
SELECT 0::UTINYINT AS kind, 0::UINTEGER AS name, 0::UBIGINT AS visitor WHERE false
{% endif %}
{% for block in blocks %}
SELECT kind, {{ "name" if loop.first else "codes.code AS name" }}, visitor
FROM {{ block.database }}.people AS people
{% if not loop.first %}
INNER JOIN codes ON people.name = codes.old AND codes.block = {{ loop.index0 }}
{% endif %}
WHERE days & {{ block.mask }}::UBIGINT <> 0 AND {{ block.people_of_host }}
{{ "" if loop.last else "UNION" }}
{% endfor %}
