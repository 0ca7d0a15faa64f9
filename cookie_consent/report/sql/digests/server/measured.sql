{# The values of a `kind` and a day into the table `target`, for quantiles. #}
INSERT INTO {{ target }} (day, kind, host, name, measured)
SELECT {{ day }}, {{ kind.number }}, host, name, {{ sorted_all("measure") }}
FROM (
    SELECT host, {{ kind.name }} AS name, {{ kind.value }} AS measure
    FROM of_{{ kind.table }}
    WHERE {{ kind.value_where }}
) AS named
GROUP BY host, name
