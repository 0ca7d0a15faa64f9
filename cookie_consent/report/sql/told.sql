{# What events bring, one row for each property. `raw` is a JSON value that is no object, array or null. #}
{% macro told() %}
SELECT event, visitor, key, raw FROM (
    SELECT event, visitor, {{ key_of("pair") }} AS key, {{ raw_of("pair") }} AS raw
    FROM (
        SELECT event, visitor, {{ each_pair("properties") }} AS pair
        FROM records
        WHERE inside = 1 AND properties IS NOT NULL
    ) AS pairs
) AS properties
WHERE substring(raw, 1, 1) NOT IN ('{', '[', 'n')
{% endmacro %}
