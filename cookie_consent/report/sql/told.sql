{# The properties of events, one row for each. `raw` is a JSON value that is no object, array or null; `more` are further
   columns. Pages can send any number: those of 1e100 and more are left out, because their sum may not be a number. #}
{% macro told(more="", events="records WHERE inside = 1 AND properties IS NOT NULL") %}
SELECT event, visitor, key, raw{{ more }} FROM (
    SELECT event, visitor{{ more }}, {{ key_of("pair") }} AS key, {{ raw_of("pair") }} AS raw
    FROM (
        SELECT event, visitor{{ more }}, {{ each_pair("properties") }} AS pair
        FROM {{ events }}
    ) AS pairs
) AS properties
WHERE substring(raw, 1, 1) NOT IN ('{', '[', 'n')
    AND CASE WHEN substring(raw, 1, 1) IN ('"', 't', 'f') THEN 0 ELSE abs({{ decimal("raw") }}) END < 1e100
{% endmacro %}
