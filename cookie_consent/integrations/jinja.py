"""Jinja2: the visitor's consent in templates, and a block for content that waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from markupsafe import Markup, escape

from cookie_consent.http.csp import TagRules
from cookie_consent.http.features import consent_card, fallback_box
from cookie_consent.http.render import tell_vendors
from cookie_consent.http.request_consent import AnyRequest, RequestConsent, consent_of, own_path
from cookie_consent.pages.assets import link_styles, nonce_attribute, script_address, script_tag

__all__ = ["ConsentedExtension", "consent_context"]


def consent_context(request: AnyRequest) -> dict[str, Any]:
    """Return variables for templates; use as `Jinja2Templates(..., context_processors=[consent_context])`.

    - `consent`: the decision.
    - `consent_fallback("map")`: the box that replaces a feature.
    - `consent_card("maps", content)`: content of a recipient, or a card in its place; see `ConsentedExtension`.
    - `privacy_settings_url`: the address of the settings page.
    - `privacy_settings_link`: a link to it. The script opens the settings within the page.
    - `privacy_opt_out_link`: a link to the page for refusing a sale or sharing; empty if the policy has neither.
    - `privacy_assets`: tags for a page with boxes or `<template data-purpose>` and without a banner.
    - `privacy_vendors`: the tag of the script that tells vendors' tags what holds, first in the head of pages
      without injection; empty if the policy names no such vendor.
    - `privacy_tracking`: the tag of the script that sends events; empty if the visitor does not allow tracing.

    Args:
        request: the current request, behind the middleware: Starlette's, or that of another framework with its ASGI
            scope as the attribute `scope`.
    """
    consent = consent_of(request.scope)
    # The settings page is another request, and cannot see which language this page has.
    address = f"{consent.base}?language={consent.language}"
    return {
        "consent": consent,
        "consent_fallback": partial(_box, request),
        "consent_card": partial(_card, request),
        "privacy_settings_url": address,
        "privacy_settings_link": Markup('<a href="{}&amp;next={}" data-privacy-settings>{}</a>').format(
            address, quote(own_path(request.scope)), consent.policy.texts[consent.language]["privacy_settings"]
        ),
        "privacy_opt_out_link": _opt_out(consent, own_path(request.scope)) if consent.policy.sells else Markup(),
        "privacy_assets": link_styles(consent.base, consent.nonce, ("choices.css",))
        + script_tag(consent.base, consent.nonce),
        "privacy_vendors": _vendors(consent) if consent.policy.vendors else Markup(),
        "privacy_tracking": _tracking(consent) if consent.traces else Markup(),
    }


def _opt_out(consent: RequestConsent, next_path: str) -> Markup:
    return Markup('<a href="{}/do-not-sell?language={}&amp;next={}">{}</a>').format(
        consent.base, consent.language, quote(next_path), consent.policy.texts[consent.language]["do_not_sell"]
    )


def _tracking(consent: RequestConsent) -> Markup:
    return Markup('<script type="module" src="{}/assets/{}"{}></script>').format(
        consent.base, script_address(consent.policy.traced), nonce_attribute(consent.nonce)
    )


def _vendors(consent: RequestConsent) -> Markup:
    if not consent.policy.tells_vendors:
        return Markup()
    # The header fields of the page, which could allow an inline script, are not known yet.
    tag = tell_vendors(consent.base, consent, TagRules(consent.nonce).only_files())
    return Markup(tag.decode("ascii"))  # noqa: S704 (made of escaped parts)


def _box(request: AnyRequest, feature: str) -> Markup:
    return Markup(fallback_box(request.scope, feature))  # noqa: S704 (rendered with autoescape)


def _card(request: AnyRequest, card: str, content: str, *, preview: str = "", title: str = "") -> Markup:
    html = consent_card(request.scope, card, escape(content), preview=preview, title=title)
    return Markup(html)  # noqa: S704 (rendered with autoescape)


class ConsentedExtension(Extension):
    """The block `{% consented "maps" %}…{% endconsented %}`; use as `templates.env.add_extension(ConsentedExtension)`.

    It prints its content where it is allowed, and else a card in its place. It takes the id of a recipient, a feature
    or a purpose, and after it `preview=` and `title=`; see `consent_card`. The template needs the variable `request`,
    as Starlette gives it.
    """

    tags = {"consented"}  # noqa: RUF012 (as the base class has it)

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse the block."""
        line = next(parser.stream).lineno
        arguments, options = [nodes.ContextReference(), parser.parse_expression()], list[nodes.Keyword]()
        while parser.stream.skip_if("comma"):
            name = parser.stream.expect("name")
            parser.stream.expect("assign")
            options.append(nodes.Keyword(name.value, parser.parse_expression(), lineno=name.lineno))
        body = parser.parse_statements(("name:endconsented",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_print", arguments, options), [], [], body).set_lineno(line)

    def _print(
        self, context: Context, card: str, *, caller: Callable[[], Any], **options: str
    ) -> Markup | Awaitable[Markup]:
        request = context.get("request")
        if not hasattr(request, "scope"):
            raise RuntimeError(
                'The block "consented" needs the variable "request": render with '
                'templates.TemplateResponse(request, …), and import macros "with context".'
            )
        content = caller()
        if isinstance(content, Awaitable):
            return _print_later(request, card, content, options)
        return _printed(request, card, content, options)


async def _print_later(request: AnyRequest, card: str, content: Awaitable[str], options: dict[str, str]) -> Markup:
    return _printed(request, card, await content, options)


def _printed(request: AnyRequest, card: str, content: str, options: dict[str, str]) -> Markup:
    # The content of a block is HTML, also in templates without autoescape.
    return Markup(consent_card(request.scope, card, content, **options))  # noqa: S704
