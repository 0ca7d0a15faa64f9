{# Pages of other sites that visitors went to: what track.js sends as "outbound". #}
{% extends "of_property.sql" %}
{% set event, property = "outbound", "to" %}
