"""What the middleware is made of and its import does not need: stores and endpoints. Loaded when the first is made.

A program that only imports the package, to define routes or a policy, starts sooner. No request waits for a module.
"""

# They format what is written in pages.
import babel.dates
import babel.lists
import babel.numbers  # noqa: F401

from cookie_consent.endpoints.endpoints import GPC_PATH, Endpoints, checked_prefix
from cookie_consent.ledgers import ledger_of
from cookie_consent.ledgers.retention import Retention
from cookie_consent.ledgers.signal_records import SignalProofs
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.visitor_lag import VisitorLag

__all__ = [
    "GPC_PATH",
    "AccessLog",
    "Endpoints",
    "Retention",
    "SignalProofs",
    "VisitorLag",
    "checked_prefix",
    "ledger_of",
]
