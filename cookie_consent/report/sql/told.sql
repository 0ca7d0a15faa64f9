{# The properties of events, one row for each. `raw` is a JSON value that is no object, array or null. Pages can send any number: those of 1e100 and more are left out, because their sum may not be a number. #}
{% macro told() %}
SELECT event, visitor, key, raw FROM (
    SELECT event, visitor, {{ key_of("pair") }} AS key, {{ raw_of("pair") }} AS raw
    FROM (
        SELECT event, visitor, {{ each_pair("properties") }} AS pair
        FROM records WHERE inside = 1 AND properties IS NOT NULL
    ) AS pairs
) AS properties
WHERE substring(raw, 1, 1) NOT IN ('{', '[', 'n')
    AND CASE WHEN substring(raw, 1, 1) IN ('"', 't', 'f') THEN 0 ELSE abs({{ decimal("raw") }}) END < 1e100
{% endmacro %}
