{# The rows with a name of their own, of the lists of several `kinds`: `list` is the place of the kind among these.

   `sizes` has the quantiles by which a list is sorted. Names of few people need no text: they are all in "(other)". #}
{% set numbers = kinds | map(attribute="number") | list %}
{% set all_kinds = numbers | min ~ " AND " ~ numbers | max %}
CREATE OR REPLACE TEMPORARY TABLE shown AS
WITH totals AS (
    SELECT kind, name, max(people) AS people, sum(n0) AS n0
    FROM list_sums
    INNER JOIN (FROM heads WHERE people >= {{ number("threshold") }} AND kind BETWEEN {{ all_kinds }}) AS heads USING (kind, name)
    WHERE kind BETWEEN {{ all_kinds }}
    GROUP BY kind, name
),
sized AS MATERIALIZED (
    SELECT kind, name, people, CASE kind
        {% for kind in kinds | unique(attribute="number") %}
        WHEN {{ kind.number }} THEN {{ kind.size }}
        {% endfor %}
        END::DOUBLE AS size
    FROM totals LEFT JOIN sizes USING (kind, name)
),
least AS (
    SELECT kind, max(size, greatest({{ number("most") }}, 1))[-1] AS least FROM sized GROUP BY kind
),
lists AS (
    SELECT unnest(range({{ kinds | length }})) AS list, unnest({{ numbers }}::UTINYINT[]) AS kind
),
labelled AS (
    SELECT list, kind, name, people, size, CASE list
        {% for kind in kinds %}
        WHEN {{ loop.index0 }} THEN {{ kind.label }}
        {% endfor %}
        END AS label
    FROM all_names
    INNER JOIN (SELECT sized.* FROM sized INNER JOIN least USING (kind) WHERE size >= least) AS largest ON code = name
    INNER JOIN lists USING (kind)
)
FROM labelled QUALIFY row_number() OVER (PARTITION BY list ORDER BY size DESC, label) <= {{ number("most") }};
