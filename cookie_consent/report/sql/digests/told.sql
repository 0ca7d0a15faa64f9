{# The properties of the events of `records`, as told.sql beside this folder. #}
{% from "told.sql" import told with context %}
CREATE OR REPLACE TEMPORARY TABLE told AS
{{ told(", host, day, inside") }}
