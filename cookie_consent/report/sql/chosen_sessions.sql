{# The sessions of a segment that began in the range and saw a page of the segment. #}
CREATE TEMPORARY TABLE sessions AS
SELECT *
FROM chosen
WHERE fitting > 0 AND began >= {{ number("since") }} AND began < {{ number("end") }}
