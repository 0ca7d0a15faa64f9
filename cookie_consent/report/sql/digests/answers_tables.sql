{# The codes of all names and visitors of a report from blocks. Those of the first block stay as they are. #}
{% for names, text, of_block in (("names", "text", "codes"), ("visitors", "number", "visitor_codes")) %}
CREATE OR REPLACE TEMPORARY TABLE new_{{ names }} (code UINTEGER, {{ text }} {{ "VARCHAR" if text == "text" else "UBIGINT" }});
CREATE OR REPLACE TEMPORARY VIEW all_{{ names }} AS
{% if blocks %}
FROM {{ blocks[0].database }}.{{ names }} UNION ALL
{% endif %}
FROM new_{{ names }};
CREATE OR REPLACE TEMPORARY TABLE {{ of_block }} (block INTEGER, old UINTEGER, code UINTEGER);
{% for block in blocks[1:] %}
INSERT INTO new_{{ names }}
SELECT (SELECT max(code) FROM all_{{ names }}) + row_number() OVER (), {{ text }}
FROM {{ block.database }}.{{ names }} WHERE {{ text }} NOT IN (SELECT {{ text }} FROM all_{{ names }});
INSERT INTO {{ of_block }}
SELECT {{ loop.index }}, own.code, others.code
FROM {{ block.database }}.{{ names }} AS own INNER JOIN all_{{ names }} AS others USING ({{ text }});
{% endfor %}
{% endfor %}
CREATE OR REPLACE TEMPORARY TABLE extra_people (kind UTINYINT, name UINTEGER, visitor UINTEGER, day INTEGER);
CREATE OR REPLACE TEMPORARY TABLE extra_sums (
    kind UTINYINT, name UINTEGER, day INTEGER
    {% for n in range(most_sums) %}
    , n{{ n }} BIGINT
    {% endfor %}
);
CREATE OR REPLACE TEMPORARY TABLE extra_measured (kind UTINYINT, name UINTEGER, value DOUBLE, bucket USMALLINT);
