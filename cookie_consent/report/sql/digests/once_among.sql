{# Delete the records that another file has, too. #}
DELETE FROM records
WHERE came BETWEEN {{ number("oldest") }} AND {{ number("newest") }} AND uid IN (
    SELECT uid FROM other_records
    WHERE time >= {{ moment(number("oldest")) }} AND time < {{ moment("(" ~ number("newest") ~ " + 1)") }}
)
