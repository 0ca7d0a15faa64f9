"""Says what a site's Content-Security-Policy does not do although somebody may expect it to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cookie_consent.enforcement.csp.own_policy import OwnPolicy
from cookie_consent.enforcement.csp.parsing import DEFAULT, ParsedPolicy, lowered, parsed
from cookie_consent.policy.origins import covers
from cookie_consent.policy.parts import NECESSARY, Recipient
from cookie_consent.policy.policy import Policy

_FETCHES = ("script-src-elem", "img-src", "connect-src", "frame-src", "style-src-elem", "font-src", "media-src")
_OPEN_FORMS = frozenset((b"'self'", b"*", b"https:", b"http:"))


def advice(policy: Policy) -> list[str]:
    """Return sentences about the policy that is sent where the app sends none."""
    own = ParsedPolicy(OwnPolicy(policy.security.content_security_policy).text)
    recipients = [it for it in policy.recipients if it.origins and it.purpose != NECESSARY]
    return [*_about_reach(own, recipients), *_about_sources(own, recipients), *_about_us(own)]


def advice_for_app(value: bytes, recipients: Iterable[Recipient]) -> list[str]:
    """Return sentences about a policy that the app sends.

    Args:
        value: the value of the header field.
        recipients: the site's recipients.
    """
    sentences = []
    if not any(policy.has(b"form-action") for policy in parsed(value)):
        sentences.append(
            "the app's Content-Security-Policy has no form-action, and default-src does not cover forms: a page may "
            "send one to anybody, whatever was answered. Add form-action 'self'."
        )
    if any(b"'strict-dynamic'" in lowered(policy.words(b"script-src-elem")) for policy in parsed(value)):
        sentences.append(_voided([it for it in recipients if it.purpose != NECESSARY], "the app's policy has"))
    return sentences


def _voided(recipients: list[Recipient], who: str) -> str:
    scripts = [f'"{it.id}"' for it in recipients if "script" in it.directives]
    held = f" It does not hold the scripts of {', '.join(scripts)} back." if scripts else ""
    return (
        f"{who} 'strict-dynamic', with which browsers ignore the hosts listed for scripts, 'self' too: only a nonce or "
        f"a hash allows a script, and what it loads is allowed as well.{held}"
    )


def _about_reach(own: ParsedPolicy, recipients: list[Recipient]) -> Iterator[str]:
    if not own.has(DEFAULT):
        missing = [name for name in _FETCHES if own.holding(name.encode()) is None]
        if missing:
            yield (
                "content_security_policy has no default-src: whatever was answered, a page may reach everybody by "
                f"{', '.join(missing)}. Add default-src 'self'."
            )
    silent = [f'"{it.id}"' for it in recipients if not it.directives]
    if silent:
        yield (
            f"no policy will ever name the origins of the recipients {', '.join(silent)}, because they have no "
            'directives. Write where their origins belong, as in directives = ["frame", "img"].'
        )


def _about_sources(own: ParsedPolicy, recipients: list[Recipient]) -> Iterator[str]:
    if b"'strict-dynamic'" in lowered(own.words(b"script-src-elem")):
        yield _voided(recipients, "content_security_policy has")
    for name in _FETCHES:
        for source in own.words(name.encode()):
            reached = [it.id for it in recipients if any(covers(source.decode(), origin) for origin in it.origins)]
            if reached:
                yield (
                    f'{name.removesuffix("-elem")} {source.decode()} lets a page reach "{reached[0]}" whatever was '
                    "answered. Name only the site's own hosts there."
                )


def _about_us(own: ParsedPolicy) -> Iterator[str]:
    if _OPEN_FORMS.isdisjoint(lowered(own.words(b"form-action"))):
        yield "form-action lacks 'self': visitors without JavaScript cannot answer."
