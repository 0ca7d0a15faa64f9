{# The properties of the events of a day, with the number of the visitor. #}
{% from "told.sql" import told with context %}
CREATE TEMPORARY TABLE of_told AS
SELECT event, key, raw, host, person
FROM ({{ told(", host") }}) AS told
INNER JOIN keyed ON visitor = plain
