{# Sessions by what they came from or began with, and how many reached a goal, as goal_by.sql beside this folder gives it.

   `kind` is that of the list of all such sessions; `column` of `sessions` has the codes of its names. Visitors are numbers up
   to `most`, so that they are counted as bits. #}
{% macro headcount(people) %}coalesce(bit_count(bitstring_agg({{ people }}, 0::UINTEGER, {{ most }}::UINTEGER)), 0){% endmacro %}
{% macro unless_few(people, reached) %}
CASE WHEN {{ people }} BETWEEN 1 AND {{ number("threshold") }} - 1 THEN NULL ELSE {{ reached }} END AS reached
{%- endmacro %}
{% set reached %}
FROM sessions WHERE position({{ text("goal") }} IN trail) > 0 AND {{ column }} IS NOT NULL
{% endset %}
WITH own_heads AS MATERIALIZED (
    SELECT name, people FROM heads WHERE kind = {{ kind.number }}
),
totals AS MATERIALIZED (
    SELECT name, sum(n0)::BIGINT AS sessions FROM list_sums WHERE kind = {{ kind.number }} GROUP BY name
),
reaching AS (
    SELECT {{ column }} AS name, count(*) AS reached, count(DISTINCT visitor) AS reaching
    {{ reached }}
    GROUP BY {{ column }}
),
rows_of_names AS MATERIALIZED (
    SELECT heads.name, {{ kind.label }} AS label, coalesce(reached, 0) AS reached, coalesce(reaching, 0) AS reaching, sessions
    FROM all_names
    INNER JOIN (FROM own_heads WHERE people >= {{ number("threshold") }}) AS heads ON all_names.code = heads.name
    INNER JOIN totals ON totals.name = heads.name
    LEFT JOIN reaching ON reaching.name = heads.name
    QUALIFY row_number() OVER (ORDER BY coalesce(reached, 0) DESC, label) <= {{ number("most") }}
),
rows AS (
    SELECT label, 0 AS joined, {{ unless_few("reaching", "reached") }}, sessions, NULL::BIGINT AS people_joined
    FROM rows_of_names
    UNION ALL
    SELECT '(other)', 1, {{ unless_few("max(reaching)", "max(reached)") }}, sum(sessions)::BIGINT, max(people)
    FROM totals, (
        SELECT {{ headcount("visitor") }} AS people
        FROM present WHERE kind = {{ kind.number }} AND name NOT IN (SELECT name FROM rows_of_names)
    ), (
        SELECT count(*) AS reached, {{ headcount("visitor") }} AS reaching
        {{ reached }} AND {{ column }} NOT IN (SELECT name FROM rows_of_names)
    )
    WHERE name NOT IN (SELECT name FROM rows_of_names)
    HAVING count(*) > 0
)
SELECT rows.*, (SELECT count(*) FROM own_heads WHERE people < {{ number("threshold") }}) AS small_groups
FROM rows
