{# Visits that began with an error, of all visitors. Counts do not tell visitors apart. #}
SELECT
    {{ matched("detail", "^([0-9]+) ") }} AS status,
    {{ matched("detail", "^[0-9]+ ([^ ]+) ") }} AS source,
    {{ matched("detail", "^[0-9]+ [^ ]+ (.+)$") }} AS path,
    value
FROM counts
WHERE name = 'arrived_on_error'
