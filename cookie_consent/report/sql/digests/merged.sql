{# Facts of a `kind` whose names of few people are one name, `kind.few_are`. #}
CREATE OR REPLACE TEMPORARY TABLE renamed AS
SELECT heads.name AS old, CASE WHEN people < {{ number("threshold") }} THEN {{ kind.few_are }} ELSE text END AS name
FROM all_names
INNER JOIN (SELECT name, count(*) AS people FROM present WHERE kind = {{ kind.number }} GROUP BY name) AS heads ON heads.name = code;
INSERT INTO new_names
SELECT (SELECT max(code) FROM all_names) + row_number() OVER (), fresh.name
FROM all_names
RIGHT JOIN (SELECT DISTINCT name FROM renamed) AS fresh ON text = fresh.name
WHERE text IS NULL;
CREATE OR REPLACE TEMPORARY TABLE new_codes AS
SELECT old, code FROM all_names INNER JOIN renamed ON text = renamed.name;
CREATE OR REPLACE TEMPORARY VIEW merged_people AS
SELECT DISTINCT kind, code AS name, visitor FROM present INNER JOIN new_codes ON present.name = old;
CREATE OR REPLACE TEMPORARY VIEW merged_sums AS
SELECT sums.* REPLACE (code AS name) FROM sums INNER JOIN new_codes ON sums.name = old;
