{# The visitors with a view in the range who have a record on an earlier day, however long ago. For a segment, all visitors
   of whom records were read: which ones it has is not known yet. #}
{{ create | default("CREATE TEMPORARY TABLE") }} earlier AS
SELECT DISTINCT visitor
FROM (
    SELECT {{ hashed("coalesce(visitor, uid)") }} AS visitor
    FROM access_records
    WHERE time < {{ moment(number("since")) }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% if kept is defined %}
    UNION ALL
    SELECT visitor
    FROM {{ kept }}
    WHERE came < {{ number("since") }} AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% endif %}
) AS before
WHERE visitor IN (
    SELECT visitor FROM {{ "viewers" if segment.tables.records == "records" else segment.tables.records }}
)
