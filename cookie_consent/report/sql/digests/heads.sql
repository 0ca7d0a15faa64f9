{# How many people have facts of each name of a `kind`, and the sums. #}
{% set present = "merged_people" if kind.few_are else "present" %}
{% set sums = "merged_sums" if kind.few_are else "sums" %}
CREATE OR REPLACE TEMPORARY TABLE heads_{{ kind.number }} AS
SELECT name, count(*) AS people FROM {{ present }} WHERE kind = {{ kind.number }} GROUP BY name;
CREATE OR REPLACE TEMPORARY TABLE totals_{{ kind.number }} AS
SELECT name
    {% for _ in kind.sums %}
    , sum(n{{ loop.index0 }})::BIGINT AS n{{ loop.index0 }}
    {% endfor %}
FROM {{ sums }} WHERE kind = {{ kind.number }} GROUP BY name;
