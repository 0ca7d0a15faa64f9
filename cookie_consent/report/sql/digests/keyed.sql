{# Replace the visitors and guests of `records` by numbers that only the key gives, and add local days and hours. #}
{% from "digests/days.sql" import day, hour with context %}
CREATE OR REPLACE TEMPORARY TABLE keyed AS
SELECT plain, {{ keyed("plain", text("key")) }} AS number
FROM (SELECT visitor AS plain FROM records UNION SELECT guest FROM records);
ALTER TABLE records RENAME TO plain_records;
CREATE TEMPORARY TABLE records AS
SELECT plain_records.* REPLACE (visitors.number AS visitor, guests.number AS guest),
    {{ day("came") }} AS day, {{ hour("came") }} AS hour
FROM plain_records
INNER JOIN keyed AS visitors ON visitor = visitors.plain
INNER JOIN keyed AS guests ON guest = guests.plain;
DROP TABLE plain_records;
