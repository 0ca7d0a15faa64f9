{# A list of a `kind`, as digests/server/list.sql gives it. ClickHouse runs a WITH query once for each place that names it, and
   merges sets of visitors faster than it sorts them. So each step has one place, and hands on states of aggregates. #}
{% from "digests/server/of_kind.sql" import of_kind with context %}
{% set levels = kind.quantiles.values() | join(", ") %}
{% set sums = range(kind.sums | length) %}
{% macro facts() %}
    SELECT name AS text, visitors, measured, {{ numbers_of_sums }}
    FROM ({{ of_kind(kind.number, "name, visitors, measured, " ~ numbers_of_sums) }}) AS facts
{% endmacro %}
{% macro add_up() %}
{% for n in sums %}, sum(n{{ n }}) AS n{{ n }}{% endfor %}
{% endmacro %}
WITH
{% if kind.few_are %}
heard AS (
    SELECT text, uniqExactArrayState(visitors) AS who{{ add_up() }}
    FROM ({{ facts() }}) AS facts
    GROUP BY text
),
named AS (
    SELECT CASE WHEN finalizeAggregation(who) < {{ number("threshold") }} THEN {{ kind.few_are }} ELSE text END AS name,
        uniqExactArrayMergeState(who) AS who{{ add_up() }}
    FROM heard
    GROUP BY name
),
{% else %}
named AS (
    SELECT {{ kind.label }} AS name, uniqExactArrayState(visitors) AS who{{ add_up() }}
        {%- if kind.value %}, quantilesExactInclusiveArrayState({{ levels }})(measured) AS found,
        sum(length(measured)) AS counted, sumArray(measured) AS total{% endif %}

    FROM ({{ facts() }}) AS facts
    GROUP BY name
),
{% endif %}
marked AS (
    SELECT *, finalizeAggregation(who) AS people, CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small,
        {% if kind.sorted_by in kind.quantiles %}
        finalizeAggregation(found)[{{ (kind.quantiles | list).index(kind.sorted_by) + 1 }}] AS size
        {% else %}
        {{ kind.size }} AS size
        {% endif %}

    FROM named
    WHERE people > 0
),
placed AS (
    SELECT *, sum(small) OVER () AS few, row_number() OVER (ORDER BY small, size DESC, name) AS place FROM marked
),
joined AS (
    SELECT *, CASE WHEN small = 1 OR place > {{ number("most") }} THEN 1 ELSE 0 END AS joined FROM placed
)
SELECT CASE WHEN joined = 1 THEN '(other)' ELSE name END AS label, joined,
    uniqExactArrayMerge(who) AS visitors,
    CASE WHEN joined = 1 THEN visitors END AS people_joined,
    any(few) AS small_groups
    {%- for column in kind.sums %}, sum(n{{ loop.index0 }}) AS {{ column }}{% endfor %}
    {%- for column in kind.quantiles %},
    CASE WHEN sum(counted) > 0 THEN quantilesExactInclusiveArrayMerge({{ levels }})(found)[{{ loop.index }}] END AS {{ column }}{% endfor %}
    {{- ", sum(total) AS total" if kind.value }}

FROM joined
GROUP BY label, joined
