{# Sessions, each with 1 if it reached a goal, and 0 if not. #}
SELECT *, CASE WHEN position({{ text("goal") }} IN trail) > 0 THEN 1 ELSE 0 END AS reached FROM sessions
