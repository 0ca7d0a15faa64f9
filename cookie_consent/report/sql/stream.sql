{# The records of a span with all their `columns`, sorted by time; of a segment, those in `records`. #}
SELECT
{% for column in columns %}
    {{ time_text("r.time") if column == "time" else "r." ~ column }}{{ "," if not loop.last }}
{% endfor %}
FROM access_records AS r {{ final() }}
WHERE r.time >= {{ moment(number("since")) }}
    AND r.time < {{ moment(number("end")) }}
    AND ({{ text("host") }} = '' OR r.host = {{ text("host") }})
    {% if of_segment %}
    AND {{ sortable("r.uid") }} IN (SELECT uid FROM records)
    {% endif %}
    {{ condition }}
ORDER BY r.time, r.uid
