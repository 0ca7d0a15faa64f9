{# The sessions of the digests and of islands, and their pairs of pages: recent ones by themselves. #}
{% from "digests/each.sql" import each, each_session with context %}
{% include "digests/block_items.sql" %}

CREATE TEMPORARY TABLE islands AS
SELECT guest, stay, min(first) AS stay_began, max(last) > {{ number("recent") }} AS recent FROM all_sessions GROUP BY guest, stay;
{% for table in ("sessions", "pairs") %}
{% set facts_of_files = each_session() if table == "sessions" else each(table, "*") %}
CREATE TEMPORARY TABLE joined AS
{% if table == "sessions" %}
SELECT sessions.* REPLACE (list_transform(trail, lambda item: codes[item]) AS trail)
FROM sessions, (SELECT codes FROM item_codes WHERE file = -1);
{% else %}
FROM {{ table }};
{% endif %}
DROP TABLE {{ table }};
CREATE TEMPORARY TABLE {{ table }} AS
SELECT * EXCLUDE (file) FROM ({{ facts_of_files }}) AS facts
WHERE day BETWEEN {{ first }} AND {{ last }} AND NOT EXISTS (
    FROM special WHERE special.file = facts.file AND special.guest = facts.guest AND special.stay = facts.stay
)
UNION ALL BY NAME
SELECT joined.* FROM joined INNER JOIN islands USING (guest, stay)
WHERE NOT recent AND day BETWEEN {{ first }} AND {{ last }};
CREATE TEMPORARY TABLE recent_{{ table }} AS
SELECT facts.* EXCLUDE (file), special.began AS stay_began
FROM ({{ facts_of_files }}) AS facts
INNER JOIN special USING (file, guest, stay)
WHERE recent AND NOT loose AND day BETWEEN {{ first }} AND {{ last }}
UNION ALL BY NAME
SELECT joined.*, stay_began FROM joined INNER JOIN islands USING (guest, stay)
WHERE recent AND day BETWEEN {{ first }} AND {{ last }};
DROP TABLE joined;
{% endfor %}
DROP TABLE islands;
