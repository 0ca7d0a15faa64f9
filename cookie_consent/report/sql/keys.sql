{# The next keys of records in the range, in order. #}
SELECT came, uid
FROM records
WHERE came >= {{ number("since") }} AND came < {{ number("end") }}
    AND (came, uid) > ({{ number("after") }}, {{ text("after_uid") }})
ORDER BY came, uid
LIMIT {{ number("most") }}
