{# The records of a day, with the local hour and the number of the visitor. #}
{% from "digests/days.sql" import hour with context %}
CREATE TEMPORARY TABLE of_records AS
SELECT records.*, {{ hour("came") }} AS hour, person
FROM records
INNER JOIN keyed ON visitor = plain
WHERE inside = 1
