{# The facts of sessions and of their pairs of pages: people into `all_people`, sums and values into the block `db`.

   It is what facts.sql makes, but texts are numbers before facts are counted, and each name is put together once. `columns`
   has for each of the `kinds` the columns that its names are made of. #}
{% from "digests/bucket.sql" import bucket %}
{% from "digests/each_of.sql" import each_of %}
{% from "channel.sql" import channel %}
{% set texts = {"sessions": ("entry_path", "exit_path", "referrer", "campaign"), "pairs": ("path", "next_path")} %}
CREATE OR REPLACE TEMPORARY TABLE session_texts AS
SELECT (row_number() OVER ())::UINTEGER AS code, text FROM (
    {% for table, names in texts.items() %}
    {% for name in names %}
    SELECT {{ name }} AS text FROM {{ table }}
    {{ "" if table == "pairs" and loop.last else "UNION" }}
    {% endfor %}
    {% endfor %}
);
{% for table, names in texts.items() %}
CREATE OR REPLACE TEMPORARY TABLE coded_{{ table }} AS
SELECT {{ table }}.* REPLACE (
    hosts.code AS host, visitors.code AS visitor{% for name in names %}, {{ name }}s.code AS {{ name }}{% endfor %}
)
FROM {{ table }}
INNER JOIN {{ db }}.names AS hosts ON host = hosts.text
INNER JOIN {{ db }}.visitors AS visitors ON visitor = visitors.number
{% for name in names %}
INNER JOIN session_texts AS {{ name }}s ON {{ table }}.{{ name }} = {{ name }}s.text
{% endfor %};
{% endfor %}
{% for kind in kinds %}
{% set names = columns[loop.index0] %}
CREATE OR REPLACE TEMPORARY TABLE facts_{{ kind.number }} AS
SELECT host, {{ each_of(names, after=", ") }}{{ "visitor, " if kind.has_people }}day
    {% for sum in kind.sums.values() %}
    , ({{ sum }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
FROM coded_{{ kind.table }}
GROUP BY ALL;
CREATE OR REPLACE TEMPORARY TABLE labels_{{ kind.number }} AS
SELECT {{ each_of(names, "of_", ", ") }}{{ channel("referrer", "campaign") if kind.name == "channel" else kind.name }} AS text
FROM (
    SELECT {% for name in names -%}
        found.{{ name }} AS of_{{ name }}, {{ name ~ "s.text" if name in texts[kind.table] else "found." ~ name }} AS {{ name }},
    {%- endfor %} true
    FROM (SELECT DISTINCT {{ each_of(names, after=", ") }}true FROM facts_{{ kind.number }}) AS found
    {% for name in names if name in texts[kind.table] %}
    INNER JOIN session_texts AS {{ name }}s ON {{ name }}s.code = found.{{ name }}
    {% endfor %}
)
WHERE {{ kind.where }};
{% endfor %}
INSERT INTO {{ db }}.names
SELECT (SELECT max(code) FROM {{ db }}.names) + row_number() OVER (), fresh.text
FROM {{ db }}.names AS known
RIGHT JOIN (
    {% for kind in kinds %}
    SELECT text FROM labels_{{ kind.number }}
    {{ "" if loop.last else "UNION" }}
    {% endfor %}
) AS fresh ON known.text = fresh.text
WHERE known.text IS NULL;
{% for kind in kinds %}
{% set labels %}
(
    SELECT labels.*, code AS name FROM labels_{{ kind.number }} AS labels INNER JOIN {{ db }}.names AS names USING (text)
) AS labels ON {% for name in columns[loop.index0] %}facts.{{ name }} = of_{{ name }} AND {% endfor %}true
{% endset %}
{% if kind.has_people %}
INSERT INTO all_people
SELECT {{ kind.number }}, host, name, visitor, day FROM facts_{{ kind.number }} AS facts INNER JOIN {{ labels }};
{% endif %}
INSERT INTO {{ db }}.sums
SELECT {{ kind.number }}, host, name, day
    {% for n in range(most_sums) %}
    , {{ "sum(n" ~ n ~ ")" if n < kind.sums | length else 0 }}
    {% endfor %}
FROM facts_{{ kind.number }} AS facts INNER JOIN {{ labels }}
GROUP BY host, name, day;
{% if kind.value %}
INSERT INTO {{ db }}.measured
SELECT {{ kind.number }}, host, name, day, value, {{ bucket("value") }}
FROM (
    SELECT host, name, day, {{ kind.value }} AS value
    FROM coded_{{ kind.table }} AS facts INNER JOIN {{ labels }}
    WHERE {{ kind.value_where }}
)
WHERE value IS NOT NULL;
{% endif %}
DROP TABLE facts_{{ kind.number }};
DROP TABLE labels_{{ kind.number }};
{% endfor %}
DROP TABLE session_texts;
DROP TABLE coded_sessions;
DROP TABLE coded_pairs;
