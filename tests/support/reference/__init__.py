"""Makes the pages of docs/reference that say what the code says."""

from __future__ import annotations

from tests.support.reference import commands, consent, figures, http, options, policy_file, public_api

PAGES = {
    "options.md": options.page,
    "policy-file.md": policy_file.page,
    "consent.md": consent.page,
    "http.md": http.page,
    "commands.md": commands.page,
    "figures.md": figures.page,
    "public-api.md": public_api.page,
}
"""The name of each file, and the function that returns its content."""
