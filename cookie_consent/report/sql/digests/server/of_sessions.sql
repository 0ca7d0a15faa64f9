{# The sessions that began on a day, with the host, the local hour and the number of the visitor. #}
{% from "channel.sql" import channel %}
{% from "digests/days.sql" import hour with context %}
CREATE TEMPORARY TABLE of_sessions AS
SELECT sessions.*, host, {{ hour("began") }} AS hour, person, {{ channel("referrer", "campaign") }} AS channel
FROM sessions
INNER JOIN (SELECT DISTINCT guest AS whose, host FROM records) AS guests ON guest = whose
INNER JOIN keyed ON visitor = plain
