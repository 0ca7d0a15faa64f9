{# Of `labelled`, the names without a label of their own. #}
CREATE OR REPLACE TEMPORARY VIEW labelled_others AS FROM labelled WHERE name <> label
