"""The site of the pages' examples: the policy file of docs/policy.md, and answers to it."""

from __future__ import annotations

import re
import tomllib
from functools import cache

from cookie_consent import Policy
from tests.support.policies import policy_of
from tests.support.reference.markdown import found


@cache
def policy() -> Policy:
    """Return the policy of the first example in docs/policy.md."""
    text = found("policy.md").read_text(encoding="utf-8")
    (first, *_) = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return policy_of(tomllib.loads(first))
