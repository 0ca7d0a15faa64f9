{# The facts of a file's `records` into its digest `db`: people, sums and values by name. It is what
   facts.sql makes, but from the codes of texts, and each name is put together once.

   `groups` are the kinds by how their names are made. The numbers of names begin with that of their group: the same name
   may have several. `viewed_by` has the views of a visitor in one row, for the kinds that it can answer. #}
{% from "digests/bucket.sql" import bucket %}
{% from "digests/each_of.sql" import each_of %}
{% from "digests/days.sql" import hour with context %}
{% from "digests/text_code.sql" import code with context %}
{% from "told.sql" import told with context %}
{% set with_hour %}(SELECT *, {{ hour("came") }} AS hour FROM records){% endset %}
{% macro labelled(facts, number, group) %}
{{ facts }} AS facts INNER JOIN labels_{{ number }} ON {% for column in group.columns %}facts.{{ column }} = of_{{ column }} AND {% endfor %}true
{%- endmacro %}
CREATE OR REPLACE TEMPORARY TABLE viewed_by AS
SELECT host, visitor, day, viewed, exempt, browser, os, device, country, count(*) AS n
FROM records
WHERE viewed = 1
GROUP BY ALL;
{% set texts_of_events %}
(
    SELECT DISTINCT event, 0 AS visitor, properties FROM access_records
    WHERE properties IS NOT NULL AND event NOT IN ('', 'page_leave')
)
{% endset %}
CREATE OR REPLACE TEMPORARY TABLE told AS
SELECT host, visitor, day, records.event, key, raw
FROM records
INNER JOIN (SELECT event, {{ code("properties") }} AS properties, key, raw FROM ({{ told(", properties", texts_of_events) }})) AS texts
    ON records.event = texts.event AND records.properties = texts.properties;
{% for group in groups %}
{% for kind, table in group.kinds %}
CREATE OR REPLACE TEMPORARY TABLE facts_{{ kind.number }} AS
SELECT host, {{ each_of(group.columns, after=", ") }}{{ "visitor, " if kind.has_people }}day
    {% for sum in kind.sums.values() %}
    , ({{ sum if table == kind.table else sum | replace("count(*)", "sum(n)") }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
FROM {{ with_hour if "hour" in group.columns else table }} WHERE {{ kind.where }}
GROUP BY ALL;
{% endfor %}
CREATE OR REPLACE TEMPORARY TABLE labels_{{ loop.index }} AS
SELECT {{ each_of(group.columns, "of_", ", ") }}({{ loop.index }} * {{ most_names }} + row_number() OVER ())::UINTEGER AS name,
    {{ group.name }} AS text
FROM (
    SELECT {% for column in group.columns -%}
        found.{{ column }} AS of_{{ column }}, {{ column ~ "s.text" if column in coded else "found." ~ column }} AS {{ column }},
    {%- endfor %} true
    FROM (
        {% for kind, table in group.kinds %}
        SELECT DISTINCT {{ each_of(group.columns, after=", ") }}true FROM facts_{{ kind.number }}
        {{ "" if loop.last else "UNION" }}
        {% endfor %}
        {% for kind, table in group.kinds if kind.value and kind.value_where != kind.where %}
        UNION
        SELECT {{ each_of(group.columns, after=", ") }}true FROM {{ kind.table }} WHERE {{ kind.value_where }}
        {% endfor %}
    ) AS found
    {% for column in group.columns if column in coded %}
    INNER JOIN texts AS {{ column }}s ON {{ column }}s.code = found.{{ column }}
    {% endfor %}
);
{% endfor %}
INSERT INTO {{ db }}.visitors SELECT row_number() OVER (), visitor FROM (SELECT DISTINCT visitor FROM records);
INSERT INTO {{ db }}.names
SELECT host, text FROM hosts
{% for group in groups %}
UNION ALL
SELECT name, text FROM labels_{{ loop.index }}
{% endfor %};
{% for group in groups %}
{% set number = loop.index %}
{% for kind, table in group.kinds %}
{% if kind.has_people %}
INSERT INTO {{ db }}.people
SELECT {{ kind.number }}, host, name, visitors.code, day
FROM {{ labelled("facts_" ~ kind.number, number, group) }} INNER JOIN {{ db }}.visitors AS visitors ON visitor = visitors.number;
{% endif %}
INSERT INTO {{ db }}.sums
SELECT {{ kind.number }}, host, name, day
    {% for n in range(most_sums) %}
    , {{ "n" ~ n if n < kind.sums | length else 0 }}
    {% endfor %}
FROM {% set sums %}
(
    SELECT host, {{ each_of(group.columns, after=", ") }}day
        {% for sum in kind.sums %}
        , sum(n{{ loop.index0 }})::BIGINT AS n{{ loop.index0 }}
        {% endfor %}
    FROM facts_{{ kind.number }}
    GROUP BY ALL
)
{% endset %}
{{ labelled(sums, number, group) }};
{% if kind.value %}
INSERT INTO {{ db }}.measured
SELECT {{ kind.number }}, host, name, day, value, {{ bucket("value") }}
FROM (
    SELECT host, name, day, {{ kind.value }} AS value
    FROM {{ labelled(kind.table, number, group) }}
    WHERE {{ kind.value_where }}
)
WHERE value IS NOT NULL;
{% endif %}
{% endfor %}
{% endfor %}
{% for group in groups %}
DROP TABLE labels_{{ loop.index }};
{% for kind, table in group.kinds %}
DROP TABLE facts_{{ kind.number }};
{% endfor %}
{% endfor %}
{% for table in ("viewed_by", "told") %}
DROP TABLE {{ table }};
{% endfor %}
