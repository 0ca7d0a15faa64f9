"""The pages that a policy links to."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from cookie_consent.policy.policy import Policy


def linked_paths(policy: Policy) -> frozenset[str]:
    """Return the paths, percent-decoded, of the pages that the banner links to, to be read without it.

    They have no slash at their end.
    """
    links = (policy.site.policy_url, *(service.policy_url for service in policy.services))
    return frozenset(unquote(urlsplit(link).path).rstrip("/") for link in links if link.startswith("/"))
