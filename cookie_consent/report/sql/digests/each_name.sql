{# All names of a `kind` with values, each a label of its own. #}
CREATE OR REPLACE TEMPORARY VIEW each_name AS SELECT DISTINCT name, name AS label FROM buckets WHERE kind = {{ kind.number }}
