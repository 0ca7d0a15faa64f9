{# Add the visitors who have a record in a span of time without digests. #}
INSERT INTO scanned_visitors
SELECT {{ keyed("plain", text("key")) }}
FROM (
    SELECT DISTINCT {{ hashed("coalesce(visitor, uid)") }} AS plain
    FROM access_records
    WHERE time >= {{ moment(number("begin")) }} AND time < {{ moment(number("end")) }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
) AS visitors
