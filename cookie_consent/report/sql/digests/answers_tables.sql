{# The tables of a report from blocks: the codes of all names, and what is not in the blocks. #}
CREATE OR REPLACE TEMPORARY TABLE new_names (code UINTEGER, text VARCHAR);
CREATE OR REPLACE TEMPORARY VIEW all_names AS
{% if blocks %}
FROM {{ blocks[0].database }}.names UNION ALL
{% endif %}
FROM new_names;
{% for block in blocks[1:] %}
INSERT INTO new_names
SELECT (SELECT max(code) FROM all_names) + row_number() OVER (), text
FROM {{ block.database }}.names WHERE text NOT IN (SELECT text FROM all_names);
{% endfor %}
CREATE OR REPLACE TEMPORARY TABLE codes (block INTEGER, old UINTEGER, code UINTEGER);
{% for block in blocks[1:] %}
INSERT INTO codes
SELECT {{ loop.index }}, names.code, all_names.code FROM {{ block.database }}.names AS names INNER JOIN all_names USING (text);
{% endfor %}
CREATE OR REPLACE TEMPORARY TABLE extra_people (kind UTINYINT, name UINTEGER, visitor UBIGINT, day INTEGER);
CREATE OR REPLACE TEMPORARY TABLE extra_sums (
    kind UTINYINT, name UINTEGER, day INTEGER
    {% for n in range(most_sums) %}
    , n{{ n }} BIGINT
    {% endfor %}
);
CREATE OR REPLACE TEMPORARY TABLE extra_measured (kind UTINYINT, name UINTEGER, value DOUBLE, bucket USMALLINT);
