{# Facts of a `kind` whose names of few people are one name, `kind.few_are`. #}
CREATE OR REPLACE TEMPORARY TABLE grouped AS
SELECT heads.name AS old, CASE WHEN people < {{ number("threshold") }} THEN {{ kind.few_are }} ELSE text END AS name
FROM (SELECT name, count(*) AS people FROM present WHERE kind = {{ number_of_kind }} GROUP BY name) AS heads
INNER JOIN all_names ON heads.name = code;
