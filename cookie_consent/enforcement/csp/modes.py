"""The option `csp`: what the middleware does about Content-Security-Policies."""

from __future__ import annotations

from typing import Any

from cookie_consent.base.checks import check, check_booleans
from cookie_consent.policy.policy import Policy

OFF, EDIT, ENFORCE, REPORT = "", "edit", "enforce", "report"
"""Nothing; edit the app's policies; also send one where the app sends none; only send report-only ones."""


def checked_mode(csp: Any, policy: Policy, *, edit_csp: Any) -> str:
    """Return the mode that the middleware's options choose.

    Without the option, a Content-Security-Policy or Connection-Allowlist of the policy file is enforced.

    Args:
        csp: the option.
        policy: the site's policy.
        edit_csp: the older option, which means "edit".

    Raises:
        ValueError: an option is invalid, or contradicts the other one or the policy file.
    """
    check_booleans(edit_csp=edit_csp)
    is_known = csp is None or (isinstance(csp, str) and csp in (EDIT, ENFORCE, REPORT))
    check("csp", csp, is_valid=is_known, remedy='Write None, "edit", "enforce" or "report".')
    is_contradicted = edit_csp and csp not in (None, EDIT)
    check("csp", csp, is_valid=not is_contradicted, remedy='It contradicts edit_csp=True, which means "edit".')
    has_own = bool(policy.security.content_security_policy) or policy.security.connection_allowlist is not None
    mode = csp or (EDIT if edit_csp else ENFORCE if has_own else OFF)
    remedy = 'The policy file has a policy in [security], which only "enforce" and "report" send.'
    check("edit_csp" if edit_csp else "csp", csp or edit_csp, is_valid=not (mode == EDIT and has_own), remedy=remedy)
    return mode


def has_directives(policy: Policy) -> bool:
    """Return whether a policy says where the origins of a recipient belong."""
    return any(recipient.directives for recipient in policy.recipients)
