{# Visitors, sessions and views by the steps of `figure`, as over_time.sql beside this folder.

   `steps` has for each day the number of its step; of hours it has none, because they are names of facts. The file for the
   digests of servers replaces the block `parts`. #}
{% block parts %}
{% from "digests/hours.sql" import sums_of_hours with context %}
{% from "digests/weeks.sql" import day_steps, visitors_by_step with context %}
WITH parts AS (
{% if figure == "each_hour" %}
    SELECT text::BIGINT AS number, visitors, 0 AS sessions, 0 AS views, 0 AS recorded, 0 AS all_views, 0 AS counted
    FROM all_names
    INNER JOIN (
        SELECT name, count(*) AS visitors FROM present WHERE kind = {{ numbers.view_hours }} GROUP BY name
    ) ON name = code
    UNION ALL
    SELECT number, 0, sessions, views, 0, 0, 0 FROM ({{ sums_of_hours() }})
{% else %}
    {% if figure == "by_day" %}
    SELECT day AS number, people AS visitors, 0 AS sessions, 0 AS views, 0 AS recorded, 0 AS all_views, 0 AS counted
    FROM day_people WHERE people > 0
    {% else %}
    SELECT step AS number, count(*) AS visitors, 0 AS sessions, 0 AS views, 0 AS recorded, 0 AS all_views, 0 AS counted
    FROM ({{ visitors_by_step(numbers.views) }})
    GROUP BY step
    {% endif %}
    UNION ALL
    SELECT step, 0, CASE WHEN kind = {{ numbers.sessions }} THEN n0 ELSE 0 END,
        CASE WHEN kind = {{ numbers.views }} THEN n0 ELSE 0 END, 0, 0, 0
    FROM sums INNER JOIN ({{ day_steps() }}) AS day_steps USING (day)
    WHERE kind IN ({{ numbers.sessions }}, {{ numbers.views }})
    UNION ALL
    SELECT step, 0, 0, 0,
        CASE WHEN name = 'views_recorded' THEN value ELSE 0 END, CASE WHEN name = 'views' THEN value ELSE 0 END, 1
    FROM counts INNER JOIN ({{ day_steps() }}) AS day_steps ON number = day
    WHERE name IN ('views', 'views_recorded')
{% endif %}
)
{% endblock %}
SELECT number, sum(visitors) AS day_visitors, sum(sessions) AS day_sessions, sum(views) AS day_views,
    sum(recorded) AS day_all_views_recorded, sum(all_views) AS day_all_views, max(counted) AS day_counted
FROM parts
GROUP BY number
