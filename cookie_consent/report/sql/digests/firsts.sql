{# The first day on which each visitor has a record, from `seen` into the database `db`: see firsts_of_file.sql.

   Visitors of one host have one row, which also counts for all hosts together; others have one for each host and one for
   all, as in block_people.sql. #}
CREATE TABLE {{ db }}.about (made_of VARCHAR);
CREATE TABLE {{ db }}.hosts (code UINTEGER, text VARCHAR);
CREATE TEMPORARY TABLE seen AS SELECT host, visitor, min(day) AS day FROM seen_in_files GROUP BY ALL;
DROP TABLE seen_in_files;
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
