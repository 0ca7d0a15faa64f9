{# Drop what was needed for joining digests. #}
DROP TABLE special;
DROP TABLE file_names;
DROP TABLE codes;
DROP TABLE visitor_codes;
DROP TABLE item_codes;
DROP TABLE sessions;
DROP TABLE pairs;
DROP TABLE facts;
DROP TABLE all_people;
DROP TABLE host_codes;
DROP TABLE IF EXISTS settled;
DROP TABLE IF EXISTS kept_recent;
