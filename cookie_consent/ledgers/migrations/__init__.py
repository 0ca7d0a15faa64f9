"""The tables of a ledger, as each version of this package changed them."""
