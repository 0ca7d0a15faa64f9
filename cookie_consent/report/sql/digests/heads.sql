{# How many people have facts of each name of the `kinds`, as `heads`, and the sums of these names, as `list_sums`. #}
{% set numbers = kinds | map(attribute="number") | list %}
CREATE OR REPLACE TEMPORARY TABLE heads AS
SELECT kind, name, count(*) AS people FROM present
WHERE kind BETWEEN {{ numbers | min }} AND {{ numbers | max }}
GROUP BY kind, name;
CREATE OR REPLACE TEMPORARY VIEW list_sums AS
FROM sums
{% for kind in kinds if kind.few_are %}
WHERE kind <> {{ kind.number }}
UNION ALL
SELECT sums.* REPLACE (code AS name) FROM sums INNER JOIN new_codes ON name = old WHERE kind = {{ kind.number }};
{% endfor %}
