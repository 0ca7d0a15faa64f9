{# Drop what was needed for joining digests. #}
DROP TABLE loose_stays;
DROP TABLE recent_stays;
DROP TABLE file_names;
DROP TABLE codes;
DROP TABLE sessions;
DROP TABLE pairs;
DROP TABLE facts;
DROP VIEW all_people;
