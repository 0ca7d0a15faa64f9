{# When the activity of a record began and ended, and whether it is a request that is neither a view nor an event.

   Sessions are made of records in the order of `began`, `is_request` and `uid`. #}
{% set began = "came - CASE WHEN event = 'page_leave' THEN duration_ms ELSE 0 END" %}
{% set ended = "came + CASE WHEN kind = 'event' THEN 0 ELSE duration_ms END" %}
{% set is_request = "CASE WHEN kind = 'request' THEN 1 ELSE 0 END" %}
{# Whether a record of `found` is in a session of `sessions`, from its first record to the first of the next session. #}
{% macro in_session() %}
{% set place = "(" ~ began ~ ", " ~ is_request ~ ", found.uid)" %}
{{ place }} >= (first_began, first_is_request, first_uid)
    AND (from_end = 1 OR {{ place }} < (next_began, next_is_request, next_uid))
{%- endmacro %}
