{# The facts of a `kind` and a day into the table `target`: who has facts of a name, and their sums. #}
INSERT INTO {{ target }} (day, kind, host, name{{ ", visitors" if kind.has_people }}
    {%- for _ in kind.sums %}, n{{ loop.index0 }}{% endfor %})
SELECT {{ day }}, {{ kind.number }}, host, name{{ ", " ~ all_of("person") if kind.has_people }}
    {%- for made in kind.sums.values() %}, CAST({{ made }} AS BIGINT){% endfor %}

FROM (SELECT facts.*, {{ kind.name }} AS name FROM of_{{ kind.table }} AS facts WHERE {{ kind.where }}) AS named
GROUP BY host, name
