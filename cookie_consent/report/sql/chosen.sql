{# The sessions of a segment, also those outside the range: their records may be inside. #}
{% from "activity.sql" import in_session %}
{% from "where.sql" import holds %}
{% set in_order = "OVER (PARTITION BY guest ORDER BY first_began, first_is_request, first_uid)" %}
{{ create | default("CREATE TEMPORARY TABLE") }} chosen AS
WITH placed AS (
    SELECT *,
        row_number() {{ in_order }} AS nth,
        count(*) OVER (PARTITION BY guest) - row_number() {{ in_order }} + 1 AS from_end,
        lead(first_began) {{ in_order }} AS next_began,
        lead(first_is_request) {{ in_order }} AS next_is_request,
        lead(first_uid) {{ in_order }} AS next_uid
    FROM visits
)
SELECT *
FROM placed
WHERE views > 0
{% for filter in segment.of("sessions") %}
    AND {{ holds(filter) }}
{% endfor %}
{% for filter in segment.of("seen") %}
    AND (guest, nth) IN (
        SELECT guest, nth
        FROM found
        INNER JOIN (
            SELECT guest AS whose, nth, from_end, first_began, first_is_request, first_uid,
                next_began, next_is_request, next_uid
            FROM placed
        ) AS bounds ON guest = whose
        WHERE {{ in_session() }}
            AND {{ holds(filter) }}
            {% if filter in segment.pages %}
            AND viewed = 1
            {% endif %}
    )
{% endfor %}
