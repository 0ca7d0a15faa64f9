{# Join the digests f0, f1, … of files: which stays go on in another file, and all facts with one code for each name. #}
{% from "digests/days.sql" import day with context %}
{% from "digests/each.sql" import each with context %}
CREATE TEMPORARY TABLE file_names AS {{ each("names", "*") }};
INSERT INTO {{ db }}.names
SELECT row_number() OVER (), text FROM (SELECT DISTINCT text FROM file_names);
CREATE TEMPORARY TABLE codes AS
SELECT file, file_names.code AS old, names.code FROM file_names INNER JOIN {{ db }}.names AS names USING (text);
CREATE TEMPORARY TABLE all_stays AS
SELECT file, guest, stay, began, ended, near,
    coalesce(began - max(ended) OVER (
        PARTITION BY guest ORDER BY began ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) <= 1800000, false)
    OR coalesce(lead(began) OVER (PARTITION BY guest ORDER BY began) - max(ended) OVER (
        PARTITION BY guest ORDER BY began ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) <= 1800000, false)
    OR {{ day("began") }} <> {{ day("ended") }}
    OR ended > {{ number("open") }} AS loose,
    ended > {{ number("recent") }} AS recent
FROM ({{ each("stays", "*") }});
INSERT INTO {{ db }}.stays SELECT guest, began, ended, recent FROM all_stays WHERE NOT loose;
CREATE TEMPORARY TABLE loose_stays AS SELECT file, guest, stay, began, ended, near FROM all_stays WHERE loose;
CREATE TEMPORARY TABLE recent_stays AS SELECT file, guest, stay, began, ended FROM all_stays WHERE recent AND NOT loose;
DROP TABLE all_stays;
{% for table in ("sessions", "pairs") %}
CREATE TEMPORARY TABLE {{ table }} AS
SELECT * FROM ({{ each(table, "*") }}) AS facts
WHERE day BETWEEN {{ first }} AND {{ last }} AND NOT EXISTS (
    SELECT 1 FROM (SELECT file, guest, stay FROM loose_stays UNION ALL SELECT file, guest, stay FROM recent_stays) AS others
    WHERE others.file = facts.file AND others.guest = facts.guest AND others.stay = facts.stay
);
CREATE TABLE {{ db }}.recent_{{ table }} AS
SELECT facts.* EXCLUDE (file), recent_stays.began AS stay_began
FROM ({{ each(table, "*") }}) AS facts
INNER JOIN recent_stays USING (file, guest, stay)
WHERE day BETWEEN {{ first }} AND {{ last }};
{% endfor %}
CREATE TABLE {{ db }}.edges AS
SELECT edges.* EXCLUDE (file, stay)
FROM ({{ each("edges", "*") }}) AS edges
INNER JOIN loose_stays USING (file, guest, stay);
CREATE TEMPORARY VIEW all_people AS {{ each("people", "*") }};
INSERT INTO {{ db }}.sums
SELECT kind, hosts.code, names.code, day
    {% for n in range(most_sums) %}
    , sum(n{{ n }})
    {% endfor %}
FROM ({{ each("sums", "*") }}) AS sums
INNER JOIN codes AS names ON sums.file = names.file AND sums.name = names.old
INNER JOIN codes AS hosts ON sums.file = hosts.file AND sums.host = hosts.old
WHERE day BETWEEN {{ first }} AND {{ last }}
GROUP BY ALL;
