"""The pages of the site that a policy links to."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from cookie_consent.policy.policy import Policy


def linked_paths(policy: Policy) -> frozenset[str]:
    """Return the paths of the pages that the banner links to, where no banner should cover the text.

    The paths are percent-decoded and have no slash at the end.
    """
    links = (policy.site.policy_url, *(service.policy_url for service in policy.services))
    return frozenset(unquote(urlsplit(link).path).rstrip("/") for link in links if link.startswith("/"))
