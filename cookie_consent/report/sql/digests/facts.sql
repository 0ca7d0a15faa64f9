{# The facts of `kinds` by visitor and day, as the table `facts`: one row for each kind, host, name, visitor and day.

   If `by_stay` is set, it is one for each stay, too. #}
{% from "channel.sql" import channel %}
{% set stay = ", guest, stay_began" if by_stay is defined else "" %}
{% macro sums(kind) %}
{% for n in range(most_sums) %}
, {{ "(" ~ (kind.sums.values() | list)[n] ~ ")::BIGINT" if n < kind.sums | length else "0" }} AS n{{ n }}
{% endfor %}
{% endmacro %}
{% macro by(kind, names) %}
SELECT {{ kind.number }}::UTINYINT AS kind, host, {{ names }}, {{ "visitor" if kind.has_people else "0::UBIGINT" }} AS visitor, day{{ stay }}
    {{ sums(kind) }}
FROM {{ kind.table }} WHERE {{ kind.where }}{{ "" if kind.of_stays else " AND inside = 1" }}
GROUP BY ALL
{% endmacro %}
CREATE OR REPLACE TEMPORARY TABLE facts AS
{% for kind in kinds %}
SELECT * FROM (
{% if kind.of %}
    WITH raw AS MATERIALIZED ({{ by(kind, kind.of | join(", ")) }}),
    labels AS MATERIALIZED (
        SELECT {{ kind.of | join(", ") }},
            {{ channel("referrer", "campaign") if kind.name == "channel" else kind.name }} AS name
        FROM (SELECT DISTINCT {{ kind.of | join(", ") }} FROM raw)
    )
    SELECT kind, host, name, visitor, day{{ stay }}
        {% for n in range(most_sums) %}
        , sum(n{{ n }})::BIGINT
        {% endfor %}
    FROM raw INNER JOIN labels USING ({{ kind.of | join(", ") }})
    GROUP BY ALL
{% else %}
    {{ by(kind, kind.name ~ " AS name") }}
{% endif %}
)
{{ "" if loop.last else "UNION ALL" }}
{% endfor %}
