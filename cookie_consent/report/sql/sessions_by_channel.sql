{# Sessions, each with its channel. #}
{% from "channel.sql" import channel %}
SELECT visitor, {{ channel("referrer", "campaign") }} AS channel FROM sessions
