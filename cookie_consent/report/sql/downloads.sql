{# Files that visitors downloaded: what track.js sends as "download". #}
{% extends "of_property.sql" %}
{% set event, property = "download", "file" %}
