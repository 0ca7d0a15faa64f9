{# Add the records of sessions that no block has as facts. They are no facts of `records`. #}
{% for block in blocks %}
INSERT INTO records BY NAME
SELECT * REPLACE (0 AS inside) FROM {{ block.database }}.edges
WHERE came >= {{ number("read_since") }} AND came < {{ number("read_end") }}
    AND ({{ text("host") }} = '' OR host = {{ text("host") }});
{% endfor %}
