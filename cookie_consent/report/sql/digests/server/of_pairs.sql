{# Pages that were seen one after the other in a session of the day. #}
CREATE TEMPORARY TABLE of_pairs AS
SELECT path, next_path, host, person
FROM pairs
INNER JOIN keyed ON visitor = plain
