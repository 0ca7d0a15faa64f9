{# A list of a `kind`, as grouped.sql gives it. #}
{% set present = "merged_people" if kind.few_are else "present" %}
{% set sums = "merged_sums" if kind.few_are else "sums" %}
{% set columns = kind.sums | list %}
WITH heads AS (
    SELECT name, count(*) AS people FROM {{ present }} WHERE kind = {{ number_of_kind }} GROUP BY name
),
totals AS (
    SELECT name
    {% for _ in columns %}
    , sum(n{{ loop.index0 }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
    FROM {{ sums }} WHERE kind = {{ number_of_kind }} GROUP BY name
),
{% if kind.sorted_by in kind.quantiles %}
sizes AS (
    SELECT name, {{ quantile(kind.quantiles[kind.sorted_by], "value") }} AS size
    FROM measured WHERE kind = {{ number_of_kind }} GROUP BY name
),
{% endif %}
marked AS (
    SELECT name, {{ kind.label }} AS text, people, {{ "size" if kind.sorted_by in kind.quantiles else size }} AS size,
        CASE WHEN people < {{ number("threshold") }} THEN 1 ELSE 0 END AS small
        {% for _ in columns %}
        , n{{ loop.index0 }}
        {% endfor %}
    FROM all_names
    INNER JOIN heads ON all_names.code = heads.name
    INNER JOIN totals USING (name)
    {% if kind.sorted_by in kind.quantiles %}
    INNER JOIN sizes USING (name)
    {% endif %}
),
labels AS (
    SELECT *, CASE
        WHEN small = 1 OR row_number() OVER (ORDER BY small, size DESC, text) > {{ number("most") }} THEN 1 ELSE 0
    END AS joined
    FROM marked
),
{% if kind.value %}
quantiles AS (
    SELECT CASE WHEN joined = 1 THEN '(other)' ELSE text END AS label, joined,
        {{ quantiles(kind.quantiles.values() | join(", "), "value") }} AS found, sum(value) AS total
    FROM measured
    INNER JOIN labels USING (name)
    WHERE kind = {{ number_of_kind }}
    GROUP BY ALL
),
{% endif %}
others AS (
    SELECT count(DISTINCT visitor) AS people
    FROM {{ present }} INNER JOIN labels USING (name)
    WHERE kind = {{ number_of_kind }} AND joined = 1
),
rows AS (
    SELECT CASE WHEN joined = 1 THEN '(other)' ELSE text END AS label, joined,
        CASE WHEN joined = 1 THEN (SELECT people FROM others) ELSE sum(people) END AS visitors,
        CASE WHEN joined = 1 THEN (SELECT people FROM others) END AS people_joined,
        (SELECT count(*) FROM labels WHERE small = 1) AS small_groups
        {% for column in columns %}
        , sum(n{{ loop.index0 }}) AS {{ column }}
        {% endfor %}
    FROM labels
    GROUP BY label, joined
)
SELECT rows.*{{ ", total" if kind.value }}
    {% for column in kind.quantiles %}
    , found[{{ loop.index }}] AS {{ column }}
    {% endfor %}
FROM rows
{% if kind.value %}
LEFT JOIN quantiles USING (label, joined)
{% endif %}
