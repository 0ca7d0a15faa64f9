"""Applies the decision to a response, between the app and the server: cookies, header fields, what pages get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import chain

from starlette.types import Message

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.html.injection import Injection, injectable
from cookie_consent.base.request_fields import FRAMES, Headers
from cookie_consent.base.user_agents import is_from_robot
from cookie_consent.decision.own_cookies import SAVED
from cookie_consent.http import banner
from cookie_consent.http.csp import SecurityFields, is_page
from cookie_consent.http.head import ONLY_BYTES, depending_on, plain_fields
from cookie_consent.http.shared_pages import SharedPages
from cookie_consent.http.tags import TagRules, tag_rules
from cookie_consent.http.vendor_signals import VendorSignals
from cookie_consent.http.visit_response import VisitResponse
from cookie_consent.pages.question import QuestionOptions

_START = "http.response.start"


def _nothing(_language: str | None, _received: bytes) -> bytes:
    """Return what a page gets that does not ask: nothing."""
    return b""


class Response(VisitResponse):
    """Applies the decision to one response: cookies, fragments in pages, header fields and the access record.

    This is the careful way, which is correct for every response. `QuickResponse` takes fewer steps for most.
    """

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app's, or the response that replaces it."""
        if self._replaced:
            return _send_nothing()
        if message["type"] == _START:
            if self._consent.replacement is not None:
                self._replaced = True
                return self._consent.replacement(self.scope, self._receive, self._pass)
            message = self._start(message)
        elif message["type"] == "http.response.trailers":
            fields = plain_fields(message.get("headers", ()))
            decision = self._visit.decision
            passed = self._site.block_cookies(fields, decision.purposes)
            message = {**message, "headers": passed}
        return self._out(message)

    def _pass(self, message: Message) -> Awaitable[None]:
        if message["type"] == _START:
            message = self._start(message)  # this may change the way out, also for this message
        return self._out(message)

    def _start(self, message: Message) -> Message:  # noqa: C901, PLR0915 (a call costs time)
        site, given = self._site, message.get("headers", ())
        if site.shared_pages is not None:
            return self._start_shared(site.shared_pages, message)
        is_plain = type(given) is list and ONLY_BYTES.issuperset(map(type, chain.from_iterable(given)))
        headers = given if is_plain else plain_fields(given)
        decision = self._visit.decision
        passed, limits = site.block_cookies(headers, decision.purposes), False
        if site.security is not None:
            passed, limits = self._limited(site.security, message["status"], passed)
        readable = injectable(message["status"], passed)
        encoding = readable if site.inject else None
        if encoding:
            passed = self._prepare_injection(encoding, passed)
        elif encoding is not None:
            self._note_compressed()
        if readable:
            self._watch()
        if site.access_log is not None:
            self._count(site.access_log.counts, message["status"], passed)
        traced = self.trace is not None
        depends = self._consent.was_read or bool(encoding) or traced or limits
        if self.trace is not None and self.trace.new_visitor is not None:
            passed = [*passed, (b"set-cookie", self.trace.new_visitor)]
        if self._visit.refused_cookies:
            passed, depends = [*passed, *self._deletion_fields()], True
        if encoding:
            site.advice.is_cacheable(outer_path(self.scope), headers)
        if depends:
            language = (b"Accept-Language",) if self._consent.chose_language or self.injection is not None else ()
            frames = (b"Sec-Fetch-Dest",) if self._differs_in_frames else ()
            passed = depending_on(passed, (*site.depends_on, *language, *frames))
        return message if passed is given else {**message, "headers": passed}

    def _start_shared(self, shared: SharedPages, message: Message) -> Message:
        """Begin a response that is the same for everybody, unless the app itself read the decision."""
        site, headers = self._site, plain_fields(message.get("headers", ()))
        decision, consent = self._visit.decision, self._consent
        headers = site.block_cookies(headers, decision.purposes)
        may_inject = site.inject and self.scope["method"] == "GET"
        encoding = injectable(message["status"], headers) if may_inject else None
        if encoding == "":
            self._note_compressed()
        elif encoding is not None and not consent.asks_itself:
            self.injection = shared.injection(
                consent, decision.policy, self.scope, headers, encoding=encoding, out=self._out
            )
            self._out, self.is_unfinished = self.injection.send, True
        if encoding:
            self._watch()
        if site.access_log is not None:
            self._count(site.access_log.counts, message["status"], headers)
        if not consent.was_read:
            return {**message, "headers": shared.without_cookies(headers)}
        language = (b"Accept-Language",) if consent.chose_language else ()
        headers = depending_on([*headers, *self._deletion_fields()], (*site.depends_on, *language))
        return {**message, "headers": headers}

    def _limited(self, security: SecurityFields, status: int, headers: Headers) -> tuple[Headers, bool]:
        """Return header fields with those that limit the browser, and whether they depend on the decision.

        They name the recipients that the visitor allows on pages, and where the app itself has read the decision. All
        other responses get those of a visitor who allowed nothing, so that caches may keep them for everybody.
        """
        accepts_pages = b"text/html" in self._fields_by_name().get(b"accept", b"")
        depends = self._consent.was_read or is_page(status, headers, accepts_pages=accepts_pages)
        if not (depends and security.differs):
            return security.add(headers, security.everybody), False
        return security.add(headers, security.fields(self._visit.decision)), True

    async def finish(self) -> None:
        """Send what is still held when the app has returned."""
        if self.injection is not None:
            await self.injection.finish()

    def _prepare_injection(self, encoding: str, headers: Headers) -> Headers:
        """Prepare to insert the banner, unless a bot asks for the page, and the link to the settings page."""
        consent, site, decision = self._consent, self._site, self._visit.decision
        # Robots cannot answer, so the user agent of who has answered is not read.
        asks = self.asks and (decision.record is not None or not is_from_robot(self._fields_by_name()))
        says_something = site.settings_link or decision.news is not None or decision.honours_gpc
        is_get = self.scope["method"] == "GET" and not consent.asks_itself
        asks, has_tail = asks and not consent.asks_itself, says_something and is_get
        says_saved = is_get and self._visit.saved and decision.record is not None
        self._differs_in_frames = asks or has_tail or says_saved
        signals = site.vendor_signals if self.scope["method"] != "HEAD" else None
        # For a page in a frame, the page around it asks.
        if not self._differs_in_frames or self._fields_by_name().get(b"sec-fetch-dest") in FRAMES:
            if signals is not None:
                self._inject(partial(self._told_vendors, signals, self._tag_rules(headers)))
            return headers
        rules, options = self._tag_rules(headers), None
        head = bytes if signals is None else partial(self._told_vendors, signals, rules)
        if asks:
            options = self._question_options(rules)
            if not rules.inline_style:
                headers = [*headers, banner.preload(consent.base, rules.style_nonce)]
        if says_saved:
            headers = _once_only(headers, site.own_cookies.forget(SAVED, site.own_cookies.place(self.scope)))
        fragments = banner.Fragments(
            site.pages,
            decision,
            consent,
            self.scope,
            encoding=encoding,
            options=options,
            rules=rules,
            says_saved=says_saved,
        )
        end = partial(self._end, fragments, rules, footer=has_tail)
        question = fragments.question if options is None else partial(self._counted_question, fragments, options)
        self._inject(head, question, end)
        return headers

    def _end(self, fragments: banner.Fragments, rules: TagRules, *, footer: bool) -> bytes:
        """Return what is inserted at the end of a page."""
        site = self._site
        end = fragments.end(footer=footer, link=site.settings_link)
        return end + site.foreign_hosts.console_line(self.scope, rules)

    def _question_options(self, rules: TagRules) -> QuestionOptions:
        first, referrer = banner.arrival(self._fields_by_name())
        return QuestionOptions(
            rules.script_nonce,
            rules.style_nonce,
            reloads=self._consent.reloads,
            referrer=referrer,
            first=first,
        )

    def _note_compressed(self) -> None:
        """Have a page logged that came compressed, and so cannot get what it would get."""
        fields, may_get = self._fields_by_name(), self.asks or self._site.settings_link
        is_asked_for = fields.get(b"sec-fetch-dest", b"document") == b"document" and b"text/html" in fields.get(
            b"accept", b""
        )
        if may_get and is_asked_for and self.scope["method"] == "GET":
            self._site.advice.comes_compressed(outer_path(self.scope))

    def _watch(self) -> None:
        """Have the page looked through for other hosts, if that is due."""
        site, hosts = self._site, self._site.foreign_hosts
        is_whole = self.scope["method"] == "GET" and not site.is_left_out
        if is_whole and hosts.is_due(outer_path(self.scope)):
            self._out = hosts.watching(self._out, self.scope, self._visit.decision)

    def _inject(
        self,
        head: Callable[[], bytes],
        question: Callable[[str | None, bytes], bytes] = _nothing,
        end: Callable[[], bytes] = bytes,
    ) -> None:
        self.injection = Injection(self._out, question, end, head)
        self._out, self.is_unfinished = self.injection.send, True

    def _told_vendors(self, signals: VendorSignals, rules: TagRules) -> bytes:
        """Return the beginning of a page's head: what vendors are told."""
        decision = self._visit.decision
        has_ended = decision.record is None and bool(self._visit.refused_cookies)
        return signals.tag(self._consent.base, decision, rules, has_ended=has_ended)

    def _tag_rules(self, headers: Headers) -> TagRules:
        """Return what the policies in a page's header fields say of our tags."""
        rules = tag_rules(headers)
        # A page that a script puts into another one is under the policy of that one, which has another nonce.
        is_swapped = self._fields_by_name().get(b"sec-fetch-dest", b"document") != b"document"
        return rules.only_files() if is_swapped and (rules.script_nonce or rules.style_nonce) else rules

    def _counted_question(
        self, fragments: banner.Fragments, options: QuestionOptions, page_language: str | None, received: bytes
    ) -> bytes:
        """Return the banner and count it."""
        question, access_log = fragments.question(page_language, received), self._site.access_log
        if access_log is not None and self._page_view_host is not None:
            asked = fragments.language, options.first
            self._count_asked(access_log.counts, self._fields_by_name(), self._page_view_host, asked)
        return question


def _once_only(headers: Headers, forget: bytes) -> Headers:
    """Return the header fields of a page that neither a reload nor a cache repeats, with one that deletes a cookie."""
    passed = [field for field in headers if field[0].lower() != b"cache-control"]
    return [*passed, (b"cache-control", b"no-store"), (b"set-cookie", forget)]


async def _send_nothing() -> None:
    """Send nothing, because another response has replaced the app's."""
