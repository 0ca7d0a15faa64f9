{# For each second: the visitors whose newest page is of it, of those who saw one in the last minutes. These may begin
   before the range, within the hours read around it. `later` is the first time that is still to come. #}
SELECT second, count(*) AS visitors, min(later) AS later
FROM (
    SELECT
        max(CASE WHEN came <= {{ number("now") }} THEN {{ whole("came", "1000") }} END) AS second,
        min(CASE WHEN came > {{ number("now") }} THEN came END) AS later
    FROM records
    WHERE viewed = 1 AND under = 1 AND came >= {{ number("recent_since") }}
    GROUP BY visitor
) AS recent
GROUP BY second
