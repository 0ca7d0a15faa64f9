{# The stays of a file into the database `db`, and the records of those that may go on in another file, or on another day. #}
{% from "digests/days.sql" import day with context %}
{% from "activity.sql" import began, ended %}
INSERT INTO {{ db }}.stays
SELECT guest, stay, began, ended,
    {{ day("began - " ~ near) }} <> {{ day("ended + " ~ near) }}
    OR began < (SELECT min(came) FROM records) + {{ near }}
    OR ended > (SELECT max(came) FROM records) - {{ near }}
FROM (SELECT guest, stay, min(first) AS began, max(last) AS ended FROM all_sessions GROUP BY guest, stay);
CREATE TABLE {{ db }}.sessions AS FROM sessions;
CREATE TABLE {{ db }}.pairs AS FROM pairs;
CREATE TABLE {{ db }}.edges AS
SELECT records.*, stay
FROM records
INNER JOIN {{ db }}.stays AS stays
    ON records.guest = stays.guest AND {{ began }} >= stays.began AND {{ ended }} <= stays.ended
WHERE near;
