{# The facts with the names of merged.sql. #}
CREATE OR REPLACE TEMPORARY VIEW merged_people AS
SELECT DISTINCT kind, code AS name, visitor
FROM present INNER JOIN grouped ON present.name = old INNER JOIN all_names ON grouped.name = text;
CREATE OR REPLACE TEMPORARY VIEW merged_sums AS
SELECT sums.* REPLACE (code AS name)
FROM sums INNER JOIN grouped ON sums.name = old INNER JOIN all_names ON grouped.name = text;
