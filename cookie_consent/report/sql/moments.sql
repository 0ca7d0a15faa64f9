{# Views, sessions and counts of all page views, each at its moment: `viewer` is the visitor of a view, `beginner` that of a
   session that began, `name` and `value` are those of a count. Counts leave out page views that scripts report. So a share
   divides one count by another, never by views. #}
SELECT came AS moment, visitor AS viewer, NULL AS beginner, '' AS name, 0 AS value
FROM records
WHERE viewed = 1 AND inside = 1
UNION ALL
SELECT began, NULL, visitor, '', 0
FROM sessions
UNION ALL
SELECT came, NULL, NULL, name, value
FROM counts
WHERE name IN ('views', 'views_recorded')
