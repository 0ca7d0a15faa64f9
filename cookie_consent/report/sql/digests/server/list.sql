{# A list of a `kind`, as grouped.sql gives it. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
{% set by_quantile = kind.sorted_by in kind.quantiles %}
{% set columns = kind.sums | list %}
{% macro sums(function) %}
{% for _ in columns %}, {{ function }}(n{{ loop.index0 }}) AS n{{ loop.index0 }}{% endfor %}
{% endmacro %}
WITH facts AS (
    SELECT name AS text, visitors, measured{{ sums("") }}
    FROM ({{ of_kind(kind.number, "name, visitors, measured, " ~ numbers_of_sums) }}) AS facts
),
{% if kind.few_are %}
heard AS (
    SELECT text AS old, count(DISTINCT visitor) AS people
    FROM (SELECT text, {{ each("visitors") }} AS visitor FROM facts) AS people
    GROUP BY text
),
named AS (
    SELECT CASE WHEN people < {{ number("threshold") }} THEN {{ kind.few_are }} ELSE text END AS name,
        visitors, measured{{ sums("") }}
    FROM facts
    INNER JOIN heard ON text = old
),
{% else %}
named AS (
    SELECT {{ kind.label }} AS name, visitors, measured{{ sums("") }} FROM facts
),
{% endif %}
people AS (
    SELECT DISTINCT name, {{ each("visitors") }} AS visitor FROM named
),
heads AS (
    SELECT name AS called, count(*) AS people FROM people GROUP BY name
),
{% if by_quantile %}
sizes AS (
    SELECT name AS of_size, {{ quantile(kind.quantiles[kind.sorted_by], "value") }} AS size
    FROM (SELECT name, {{ each("measured") }} AS value FROM named) AS measures
    GROUP BY name
),
{% endif %}
totals AS (
    SELECT name{{ sums("sum") }} FROM named GROUP BY name
),
marked AS (
    SELECT name, people, {{ kind.size }} AS size{{ sums("") }},
        CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small
    FROM totals
    INNER JOIN heads ON name = called
    {% if by_quantile %}
    INNER JOIN sizes ON name = of_size
    {% endif %}
),
placed AS (
    SELECT marked.*, row_number() OVER (ORDER BY small, size DESC, name) AS place FROM marked
),
labels AS (
    SELECT placed.*, CASE WHEN small = 1 OR place > {{ number("most") }} THEN 1 ELSE 0 END AS joined FROM placed
),
labelled AS (
    SELECT name, people, small, joined{{ sums("") }}, CASE WHEN joined = 1 THEN '(other)' ELSE name END AS label FROM labels
),
others AS (
    SELECT count(DISTINCT visitor) AS people_joined
    FROM people
    INNER JOIN (SELECT name AS other FROM labels WHERE joined = 1) AS joins ON name = other
),
{% if kind.value %}
measures AS (
    SELECT label AS of_label, joined AS of_joined,
        {{ quantiles(kind.quantiles.values() | join(", "), "value") }} AS found, sum(value) AS total
    FROM (SELECT name AS of_name, {{ each("measured") }} AS value FROM named) AS measures
    INNER JOIN labelled ON of_name = name
    GROUP BY label, joined
),
{% endif %}
lines AS (
    SELECT label, joined, sum(people) AS visitors{{ sums("sum") }} FROM labelled GROUP BY label, joined
)
SELECT label, joined,
    CASE WHEN joined = 1 THEN (SELECT people_joined FROM others) ELSE visitors END AS visitors,
    CASE WHEN joined = 1 THEN (SELECT people_joined FROM others) END AS people_joined,
    (SELECT count(*) FROM labels WHERE small = 1) AS small_groups
    {%- for column in columns %}, n{{ loop.index0 }} AS {{ column }}{% endfor %}
    {%- for column in kind.quantiles %}, found[{{ loop.index }}] AS {{ column }}{% endfor %}
    {{- ", total" if kind.value }}
FROM lines
{% if kind.value %}
LEFT JOIN measures ON label = of_label AND joined = of_joined
{% endif %}
