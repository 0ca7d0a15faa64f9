{# Pages that were seen one after the other in a session of the report. A page that is loaded again is no next page.

   `under` and `next_under`: the one and the other are pages of the segment. #}
{% from "where.sql" import holds %}
{% set under %}
{% if segment.pages %}
CASE WHEN {% for page in segment.pages %}{{ holds(page) }}{{ "" if loop.last else " OR " }}{% endfor %} THEN 1 ELSE 0 END
{%- else %}
1
{%- endif %}
{% endset %}
{{ create | default("CREATE TEMPORARY TABLE") }} pairs AS
SELECT * FROM (
    SELECT visitor, here AS path, under, path AS next_path, {{ under }} AS next_under
    FROM (
        SELECT visitor, path AS here, next_path AS path, {{ under }} AS under
        FROM (
            SELECT visitor, {{ each_next("pages") }} FROM sessions WHERE views > 1
        ) AS following
        WHERE path <> next_path
    ) AS placed
) AS both_placed
WHERE under = 1 OR next_under = 1
