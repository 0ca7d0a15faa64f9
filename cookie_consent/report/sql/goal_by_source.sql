{# Sessions that reached a goal, by the site that they came from. #}
{% extends "goal_by.sql" %}
{% set column = "CASE WHEN referrer = '' THEN '(direct)' ELSE referrer END" %}
