{# The tables for analysts as views of the records in a database, and the views that these are made of.

   `bounds` and `ending` are what the engine needs after the table of records, and at the end of a view. #}
{% set times = 1 %}
CREATE OR REPLACE VIEW access_facts AS
{% include "facts.sql" %}

{{ ending }};
{% set create, target, of_records = "CREATE OR REPLACE VIEW", "access_visits", "access_facts" %}
{% include "sessions.sql" %}

{{ ending }};
{% set views, sessions, of_sessions, time = "access_views", "access_sessions", "access_visits", "time" %}
{% include "own_tools.sql" %}
