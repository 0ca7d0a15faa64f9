{# The facts in the range, of blocks and of records that no block has: `present` has people, `day_people` counts them by day. #}
{% from "digests/of_block.sql" import joined, of_blocks, visitor with context %}
{% set numbers %}
{% for n in range(most_sums) %}
, n{{ n }}
{% endfor %}
{% endset %}
{% if has_extra %}
CREATE OR REPLACE TEMPORARY TABLE more AS
SELECT extra.*
FROM (FROM kept WHERE kind IN ({% for kind in kinds %}{{ kind.number }}, {% endfor %}255)) AS kept
RIGHT JOIN (SELECT DISTINCT kind, name, visitor FROM extra_people) AS extra USING (kind, name, visitor)
WHERE kept.visitor IS NULL;
{% endif %}
CREATE OR REPLACE TEMPORARY VIEW present AS FROM kept{{ " UNION ALL FROM more" if has_extra }};
CREATE OR REPLACE TEMPORARY VIEW sums AS
{{ of_blocks("sums", "recent", "day" ~ numbers) }}
SELECT kind, name, day {{ numbers }} FROM extra_sums;
CREATE OR REPLACE TEMPORARY VIEW measured AS
{{ of_blocks("measured", "recent_measured", "value, bucket") }}
SELECT kind, name, value, bucket FROM extra_measured;
CREATE OR REPLACE TEMPORARY VIEW buckets AS
{{ of_blocks("buckets", "recent_measured", "bucket, n") }}
SELECT kind, name, bucket, 1 AS n FROM extra_measured;
CREATE OR REPLACE TEMPORARY TABLE day_people AS
SELECT day, sum(people) AS people FROM (
    {% for block in blocks %}
    SELECT unnest({{ block.days }}) AS day, unnest([
        {% for bit in block.bits %}
        count(*) FILTER (days & {{ bit }}::UBIGINT <> 0){{ "" if loop.last else "," }}
        {% endfor %}
    ]) AS people
    FROM {{ block.database }}.people
    WHERE kind = {{ views }} AND {{ block.people_of_host }}
    {{ "UNION ALL" if has_extra or not loop.last }}
    {% endfor %}
    {% if has_extra %}
    SELECT day, count(*) AS people
    FROM (SELECT DISTINCT day, visitor FROM extra_people WHERE kind = {{ views }}) AS extra
    WHERE NOT EXISTS (
        SELECT 1 FROM (
            {% for block in blocks %}
            SELECT {{ visitor(loop.index0) }}, days, {{ block.first }} AS first
            FROM {{ block.database }}.people AS facts {{ joined(loop.index0, names=false, visitors=true) }}
            WHERE kind = {{ views }} AND {{ block.people_of_host }} AND days & {{ block.mask }}::UBIGINT <> 0
            UNION ALL
            {% endfor %}
            SELECT 0::UINTEGER AS visitor, 0::UBIGINT AS days, 0 AS first WHERE false
        ) AS known
        WHERE known.visitor = extra.visitor AND extra.day BETWEEN first AND first + 63
            AND days & (1::UBIGINT << (greatest(extra.day - first, 0) & 63)::UBIGINT) <> 0
    )
    GROUP BY day
    {% endif %}
    {% if not (blocks or has_extra) %}
    SELECT 0 AS day, 0 AS people WHERE false
    {% endif %}
)
GROUP BY day;
