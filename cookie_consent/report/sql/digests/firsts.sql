{# The first day on which each visitor has a record, from the digests f0, f1, … of all files into the database `db`.

   Visitors of one host have one row, which also counts for all hosts together; others have one for each host and one for
   all, as in block_people.sql. #}
CREATE TABLE {{ db }}.about (made_of VARCHAR);
CREATE TABLE {{ db }}.hosts (code UINTEGER, text VARCHAR);
CREATE TEMPORARY TABLE seen AS
SELECT text AS host, visitor, min(day) AS day
FROM (
    {% for file in range(files) %}
    SELECT text, visitor, day FROM f{{ file }}.people INNER JOIN f{{ file }}.names ON host = code WHERE kind = {{ seen }}
    {{ "" if loop.last else "UNION ALL" }}
    {% endfor %}
)
GROUP BY ALL;
INSERT INTO {{ db }}.hosts SELECT row_number() OVER (), host FROM (SELECT DISTINCT host FROM seen);
CREATE TABLE {{ db }}.firsts (host UINTEGER, visitor UBIGINT, alone BOOLEAN, day INTEGER);
INSERT INTO {{ db }}.firsts
SELECT CASE WHEN min(code) = max(code) THEN min(code) ELSE 0 END, visitor, true, min(day)
FROM seen INNER JOIN {{ db }}.hosts AS hosts ON host = text
GROUP BY visitor;
INSERT INTO {{ db }}.firsts
SELECT code, visitor, false, day
FROM seen INNER JOIN {{ db }}.hosts AS hosts ON host = text
WHERE visitor IN (SELECT visitor FROM {{ db }}.firsts WHERE firsts.host = 0);
DROP TABLE seen;
