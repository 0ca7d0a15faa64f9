{# The files with stays that go on elsewhere and whose records no digest keeps, and their time. #}
SELECT file, min(own_began), max(own_ended) FROM special WHERE loose AND NOT near GROUP BY file ORDER BY file
