{# What the events of `records` bring. #}
{% from "told.sql" import told with context %}
CREATE OR REPLACE TEMPORARY TABLE told AS
{{ told(", host, day, inside") }}
