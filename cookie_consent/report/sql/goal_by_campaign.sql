{# Sessions that reached a goal, by campaign. #}
{% extends "goal_by.sql" %}
{% set column = "campaign" %}
{% set only = "WHERE campaign <> '&&'" %}
