"""What the fields that limit the browser are made from, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from cookie_consent.base.caching import Headers


@dataclass(slots=True)
class Asked:
    """What counts of a request.

    Args:
        base: the address of the endpoints.
        secure: whether it came over https.
        accepts_pages: whether it accepts HTML.
        asks: whether its page brings our script.
        nonce: the nonce that was made for its page; "" for none.
        shown: ids of the recipients that the page may load from once, whatever the visitor answered.
    """

    base: str
    secure: bool
    accepts_pages: bool
    asks: bool = False
    nonce: str = ""
    shown: frozenset[str] = frozenset()


@dataclass(slots=True)
class Secured:
    """The header fields of a response.

    Args:
        headers: the fields.
        depends: whether they depend on the decision.
        withholds: whether an enforced policy lacks an origin that a grant would add.
    """

    headers: Headers
    depends: bool = False
    withholds: bool = False
