{# Replace each name of few people by `kind.few_are`, in `heads` and in `merged_people`, which has the people of this `kind`.
   `new_codes` has the new code of each of its names. #}
CREATE OR REPLACE TEMPORARY TABLE renamed AS
SELECT name AS old, CASE WHEN people < {{ number("threshold") }} THEN {{ kind.few_are }} ELSE text END AS name
FROM all_names INNER JOIN (FROM heads WHERE kind = {{ kind.number }}) AS heads ON name = code;
INSERT INTO new_names
SELECT (SELECT max(code) FROM all_names) + row_number() OVER (), fresh.name
FROM all_names
RIGHT JOIN (SELECT DISTINCT name FROM renamed) AS fresh ON text = fresh.name
WHERE text IS NULL;
CREATE OR REPLACE TEMPORARY TABLE new_codes AS
SELECT old, code FROM all_names INNER JOIN renamed ON text = renamed.name;
CREATE OR REPLACE TEMPORARY TABLE merged_people AS
SELECT DISTINCT kind, code AS name, visitor FROM present INNER JOIN new_codes ON present.name = old WHERE kind = {{ kind.number }};
DELETE FROM heads WHERE kind = {{ kind.number }};
INSERT INTO heads SELECT kind, name, count(*) FROM merged_people GROUP BY kind, name;
