{# Sessions that reached a goal, by their first page. #}
{% extends "goal_by.sql" %}
{% set column = "entry_path" %}
