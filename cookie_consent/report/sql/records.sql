{# The records in the range and some hours around it, without duplicates, with the columns of facts.sql.

   - `under`: the path is one of the pages of the segment; of any segment without pages.
   - `inside`: `under`, and within the range.
   - `marks`: the numbers of the steps of goals and funnels that the record is, each as "<number>". Only for a question that
     has such steps. A letter of `marks` says what each step is: event, page, or beginning of a path.

   `kept` is the relation that has the facts already, or is missing. #}
{% from "marks.sql" import all_marks %}
{% from "where.sql" import holds %}
{% set marks = marks | default("") %}
{% set bounds %}
WHERE time >= {{ moment(number("read_since")) }}
        AND time < {{ moment(number("read_end")) }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
{% endset %}
{{ create | default("CREATE TEMPORARY TABLE") }} {{ segment.tables.records }} AS
SELECT *, CASE
        WHEN under = 1 AND came >= {{ number("since") }} AND came < {{ number("end") }} THEN 1 ELSE 0
    END AS inside
FROM (
    SELECT *,
        {% if marks %}
        {{ all_marks(marks, "path", "event", "viewed = 1 AND ") }} AS marks,
        {% endif %}
        {% if segment.pages %}
        CASE
            WHEN {% for page in segment.pages %}{{ holds(page) }}{{ "" if loop.last else " OR " }}{% endfor %} THEN 1 ELSE 0
        END AS under
        {% else %}
        1 AS under
        {% endif %}
    FROM {% if kept is defined %}{{ kept }} AS facts
    WHERE came >= {{ number("read_since") }} AND came < {{ number("read_end") }}
        AND ({{ text("host") }} = '' OR host = {{ text("host") }})
    {% else %}(
{% include "facts.sql" %}
    ) AS facts
    WHERE 1 = 1
    {% endif %}
    {% for filter in segment.of("records") %}
        AND {{ holds(filter) }}
    {% endfor %}
) AS placed
