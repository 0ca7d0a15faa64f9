{# The properties of events, one row for each. `sign` is the first character of its JSON: of a text ", of a truth value t or
   f. Objects, arrays and null are left out, and so are numbers of 1e100 and more, because their sum may be none. #}
{{ create | default("CREATE TEMPORARY TABLE") }} properties AS
SELECT event, visitor, key, sign, number,
    CASE WHEN sign = '"' THEN {{ unquoted("raw") }} ELSE raw END AS value
FROM (
    SELECT event, visitor, key, raw, sign, CASE WHEN sign IN ('"', 't', 'f', '{', '[', 'n') THEN 0 ELSE {{ decimal("raw") }} END AS number
    FROM (
        SELECT event, visitor, {{ key_of("pair") }} AS key, {{ raw_of("pair") }} AS raw,
            substring({{ raw_of("pair") }}, 1, 1) AS sign
        FROM (
            SELECT event, visitor, {{ each_pair("properties") }} AS pair
            FROM records WHERE inside = 1 AND properties IS NOT NULL
        ) AS pairs
    ) AS written
    WHERE sign NOT IN ('{', '[', 'n')
) AS plain
WHERE abs(number) < 1e100
