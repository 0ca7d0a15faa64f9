{# Of the records of special stays, those to keep, and those from which sessions are computed once for all. #}
{{ "INSERT INTO" if extends else "CREATE TABLE" }} {{ db }}.edges {{ "BY NAME" if extends else "AS" }}
SELECT * EXCLUDE (loose, is_open) FROM edge_records WHERE is_long OR is_open;
DROP TABLE IF EXISTS records;
CREATE TEMPORARY TABLE records AS
SELECT * EXCLUDE (loose, is_open, is_long) FROM edge_records WHERE loose AND NOT is_long;
DROP TABLE edge_records;
