{# Add the recent sessions of blocks, and their pairs of pages, that no record without a digest goes on with. #}
{% for block in blocks %}
{% for table in ("sessions", "pairs") %}
INSERT INTO {{ table }} BY NAME
SELECT facts.* EXCLUDE (stay_began) FROM {{ block.database }}.recent_{{ table }} AS facts
WHERE day BETWEEN {{ block.since }} AND {{ block.until }} AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    AND (guest, stay_began) NOT IN (SELECT (guest, began) FROM touched);
{% endfor %}
{% endfor %}
