{# Tables of all digests f0, f1, …, with the number of the file; or, of facts, with the codes of the block. #}
{% macro each(table, columns) %}
{% for file in range(files) %}
SELECT {{ file }}::INTEGER AS file, {{ columns }} FROM f{{ file }}.{{ table }}
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
{% endmacro %}
{# The sessions of all digests, with the items of the block: see block_items.sql. #}
{% macro each_session() %}
{% for file in range(files) %}
SELECT {{ file }}::INTEGER AS file, sessions.* REPLACE (list_transform(trail, lambda item: codes[item]) AS trail)
FROM f{{ file }}.sessions AS sessions, (SELECT codes FROM item_codes WHERE file = {{ file }})
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
{% endmacro %}
{% macro each_coded(table, columns, where="true", of_visitors=false) %}
{% for file in range(files) %}
SELECT kind, hosts.code AS host, names.code AS name, {{ columns }}
FROM f{{ file }}.{{ table }} AS facts
INNER JOIN (SELECT old, code FROM codes WHERE file = {{ file }}) AS names ON facts.name = names.old
INNER JOIN (SELECT old, code FROM host_codes WHERE file = {{ file }}) AS hosts ON facts.host = hosts.old
{% if of_visitors %}
INNER JOIN (SELECT old, code FROM visitor_codes WHERE file = {{ file }}) AS visitors ON facts.visitor = visitors.old
{% endif %}
WHERE day BETWEEN {{ first }} AND {{ last }} AND {{ where }}
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
{% endmacro %}
