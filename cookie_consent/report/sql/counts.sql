{# The counts in the range, without duplicates. #}
CREATE TEMPORARY TABLE counts AS
SELECT {{ once() }}
    {{ sortable("uid") }} AS uid,
    {{ day_number("day") }} AS number,
    {{ sortable("coalesce(host, '')") }} AS host,
    {{ sortable("coalesce(language, '')") }} AS language,
    {{ sortable("coalesce(name, '')") }} AS name,
    {{ sortable("coalesce(detail, '')") }} AS detail,
    coalesce(value, 0) AS value
FROM access_counts
WHERE day >= {{ date(text("first_day")) }}
    AND day <= {{ date(text("last_day")) }}
    AND ({{ text("host") }} = '' OR host = {{ text("host") }})
