{# The visitors who saw a page in the last minutes. These may begin before the range, within the hours read around it. #}
SELECT count(DISTINCT visitor) AS visitors
FROM records
WHERE viewed = 1 AND under = 1 AND came >= {{ number("recent_since") }} AND came <= {{ number("now") }}
