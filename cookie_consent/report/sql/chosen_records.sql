{# The records of the sessions of a segment. #}
{% from "activity.sql" import in_session %}
{{ create | default("CREATE TEMPORARY TABLE") }} records AS
SELECT found.*
FROM found
INNER JOIN (
    SELECT guest AS whose, from_end, first_began, first_is_request, first_uid, next_began, next_is_request, next_uid
    FROM chosen
) AS bounds ON guest = whose
WHERE {{ in_session() }}
