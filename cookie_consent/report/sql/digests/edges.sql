{# Add the records of sessions that no block has as facts: of long ones, and of those that go on in a record without a digest.
   They are no facts of `records`. With `all_open`, those that may go on are added, too. #}
{% from "activity.sql" import began, ended %}
{% for block in blocks %}
INSERT INTO records BY NAME
SELECT edges.* EXCLUDE (is_long) REPLACE (0 AS inside) FROM {{ block.database }}.edges AS edges
WHERE came >= {{ number("read_since") }} AND came < {{ number("read_end") }}
    AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% if not all_open %}
    AND (is_long OR EXISTS (
        SELECT 1 FROM touched
        WHERE is_open AND edges.guest = touched.guest AND {{ began }} >= touched.began AND {{ ended }} <= touched.ended
    ))
    {% endif %};
{% endfor %}
