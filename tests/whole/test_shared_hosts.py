"""Tests of one answer for several sub-domains: where it counts, where it does not, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent import ConsentMiddleware
from cookie_consent.decision.own_cookies import HTTPS, Place
from cookie_consent.decision.visit import find_place
from cookie_consent.sinks.memory import MemorySink
from tests.support.asgi import (
    NOW,
    PREFIX,
    SITE,
    SITE_TABLE,
    Clock,
    Fields,
    Reply,
    call,
    install,
    policy,
    reply_app,
)
from tests.support.examples import examples
from tests.support.policies import granting_record

WWW, SHOP, APEX, OTHER = "www.site.example", "shop.site.example", "site.example", "blog.site.example"


def shared(domain: str, *hosts: str) -> str:
    """Return a policy file in which hosts share an answer."""
    keys = f'domain = "{domain}"\nhosts = {json.dumps(hosts)}\n'
    return SITE.replace(SITE_TABLE, SITE_TABLE + keys)


STATUS = {"accept_all": "granted", "refuse_all": "refused"}
SHARED = shared(APEX, APEX, SHOP, WWW)


class Browser:
    """A browser that keeps cookies as RFC 6265bis says: by name, path and domain, host-only or not."""

    def __init__(self, site: ConsentMiddleware | Mapping[str, ConsentMiddleware], scheme: str = "https") -> None:
        self.site, self.scheme = site, scheme
        self.jar: dict[tuple[str, str, str, bool], str] = {}

    def request(self, host: str, method: str = "GET", path: str = "/", fields: Fields = (), body: bytes = b"") -> Reply:
        name = host.partition(":")[0].lower()
        app = self.site if isinstance(self.site, ConsentMiddleware) else self.site[name]
        sent = "; ".join(f"{key[0]}={value}" for key, value in self.jar.items() if self._is_sent(key, name, path))
        cookies = [("cookie", sent)] if sent else []
        reply = call(app, method, path, [*cookies, *fields], body, host=host, scheme=self.scheme)
        for line in reply.all("set-cookie"):
            self.take(line, name)
        return reply

    def take(self, line: str, host: str) -> None:
        pair, *attributes = line.split("; ")
        given = dict(attribute.partition("=")[::2] for attribute in attributes)
        cookie, _, value = pair.partition("=")
        domain = given.get("Domain", "")
        assert f".{host}".endswith(f".{domain}" if domain else host), line
        assert "Secure" in given or not cookie.startswith("__"), line
        assert (given["Path"], domain) == ("/", "") or not cookie.startswith("__Host-"), line
        key = (cookie, given["Path"], domain or host, not domain)
        self.jar.pop(key, None)
        if given.get("Max-Age") != "0":
            self.jar[key] = value

    @staticmethod
    def _is_sent(key: tuple[str, str, str, bool], host: str, path: str) -> bool:
        _, cookie_path, domain, host_only = key
        return path.startswith(cookie_path) and (host == domain or (not host_only and host.endswith(f".{domain}")))

    def answer(self, host: str, choice: str, **more: object) -> Reply:
        fields = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
        reply = self.request(host, "POST", PREFIX, fields, json.dumps({"choice": choice, **more}).encode())
        assert reply.status == 200, reply.text
        return reply

    def erase(self, host: str) -> int:
        """Erase the access records, and return how many there were."""
        fields = [("sec-fetch-site", "same-origin"), ("accept", "application/json")]
        return int(self.request(host, "POST", f"{PREFIX}/erase", fields).json["erased"])

    def state(self, host: str) -> Any:
        return self.request(host, path=f"{PREFIX}/state").json

    def names(self) -> set[tuple[str, str]]:
        """Return name and domain of each cookie; the domain of host-only ones begins with "="."""
        return {(name, f"={domain}" if host_only else domain) for name, _, domain, host_only in self.jar}


def site(text: str = SHARED, **options: Any) -> ConsentMiddleware:
    return install(text=text, **{"clock": Clock(), **options})


@examples(40)
@given(
    st.sampled_from(["https", "http"]),
    st.lists(st.tuples(st.sampled_from([WWW, SHOP, APEX, OTHER]), st.sampled_from([*STATUS])), min_size=1, max_size=5),
)
def test_answer_counts_on_all_hosts_that_share_it_and_on_no_other(scheme: str, answers: list[tuple[str, str]]) -> None:
    clock = Clock()
    browser = Browser(site(clock=clock), scheme)
    expected = dict.fromkeys([APEX, OTHER], "unknown")
    for host, choice in answers:
        browser.answer(host, choice)
        expected[OTHER if host == OTHER else APEX] = STATUS[choice]
        clock.forward(seconds=1)
        found = {each: browser.state(each)["status"] for each in (WWW, SHOP, APEX, OTHER)}
        assert found == {WWW: expected[APEX], SHOP: expected[APEX], **expected}
    shared, alone = ("__Secure-consent", "__Host-consent") if scheme == "https" else ("consent", "consent")
    names = {(shared, APEX): expected[APEX], (alone, f"={OTHER}"): expected[OTHER]}
    assert browser.names() == {name for name, status in names.items() if status != "unknown"}


@pytest.mark.parametrize(("scheme", "name"), [("https", "__Secure-consent"), ("http", "consent")])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, "granted") for host in (f"{WWW}:8443", "WWW.site.example", f"{WWW}.")),
        *((host, "unknown") for host in (OTHER, f"x.{WWW}", "site.example.evil.test", "localhost:8000", "127.0.0.1")),
    ],
)
def test_shared_token_counts_on_listed_hosts_however_they_are_written(
    scheme: str, name: str, host: str, status: str
) -> None:
    field = Browser(site(), scheme).answer(SHOP, "accept_all").set_cookies[name]
    sent = [("cookie", field.partition(";")[0])]
    assert call(site(), path=f"{PREFIX}/state", headers=sent, host=host, scheme=scheme).json["status"] == status


@pytest.mark.requirement("PO-03")
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(shared("other.example", "www.other.example"), id="another domain"),
        pytest.param(shared(APEX, OTHER), id="other hosts of the domain"),
        pytest.param(shared(OTHER, OTHER, f"a.{OTHER}"), id="a domain below"),
        pytest.param(SITE, id="no shared answers"),
    ],
)
def test_token_of_another_site_with_same_keys_never_counts(other: str, scheme: str) -> None:
    there = site(other)
    here = site()
    host = next(iter(there._site.policy.site.hosts), "www.other.example")
    for source, source_host, target, target_host in ((there, host, here, WWW), (here, WWW, there, host)):
        browser = Browser(source, scheme)
        browser.answer(source_host, "accept_all")
        (token,) = browser.jar.values()
        for name in ("consent", "__Secure-consent", *(["__Host-consent"] if target is there else [])):
            reply = call(
                target, path=f"{PREFIX}/state", headers=[("cookie", f"{name}={token}")], host=target_host, scheme=scheme
            )
            assert reply.json["status"] == "unknown", (name, target_host)


def test_answer_from_before_sharing_counts_on_its_host_until_the_next() -> None:
    clock = Clock()
    browser = Browser(site(SITE, clock=clock))
    browser.answer(SHOP, "accept_all")
    browser.site = site(clock=clock)
    assert browser.state(SHOP)["status"] == "granted"
    assert browser.state(WWW)["status"] == "unknown"
    clock.forward(seconds=1)
    browser.answer(WWW, "refuse_all")
    assert browser.names() == {("__Host-consent", f"={SHOP}"), ("__Secure-consent", APEX)}
    assert browser.state(SHOP)["status"] == "refused"
    browser.answer(SHOP, "refuse_all")
    assert browser.names() == {("__Secure-consent", APEX)}


def test_answer_over_http_from_before_sharing_does_not_count() -> None:
    """Over http nothing proves that the host itself has set it."""
    browser = Browser(site(SITE), "http")
    browser.answer(SHOP, "accept_all")
    browser.site = site()
    assert browser.state(SHOP)["status"] == "unknown"
    browser.answer(SHOP, "refuse_all")
    assert browser.names() == {("consent", APEX)}


def test_signal_over_old_answer_is_kept_and_replaced() -> None:
    gpc = [("sec-gpc", "1")]
    clock = Clock()
    browser = Browser(site(SITE, clock=clock))
    browser.answer(SHOP, "accept_all")
    browser.site = site(clock=clock)
    browser.request(SHOP, fields=gpc)
    assert ("__Secure-consent-signal", APEX) in browser.names()
    assert browser.state(SHOP)["purposes"]["media"] is False
    clock.forward(seconds=1)
    browser.answer(SHOP, "save", purposes={"media": True})
    assert browser.names() == {("__Secure-consent", APEX)}
    assert browser.state(WWW)["purposes"]["media"] is True


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_hosts_share_the_visitor_id_and_a_withdrawal_ends_it(scheme: str) -> None:
    log = MemorySink()
    browser = Browser(site(access_log=log), scheme)
    browser.answer(SHOP, "accept_all")
    browser.request(SHOP)
    browser.request(WWW)
    assert len({record["visitor.id"] for record in log.records}) == 1
    visitor = "__Secure-visitor" if scheme == "https" else "visitor"
    assert (visitor, APEX) in browser.names()
    browser.answer(WWW, "refuse_all")
    assert (visitor, APEX) not in browser.names()
    assert (f"{visitor}-erasure", APEX) in browser.names()
    assert browser.erase(SHOP) == 2
    assert {name for name, _ in browser.names()} == {"consent" if scheme == "http" else "__Secure-consent"}


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_refusal_on_unlisted_host_leaves_the_shared_visitor_id(scheme: str) -> None:
    browser = Browser(site(access_log=MemorySink()), scheme)
    browser.answer(WWW, "accept_all")
    before = browser.names()
    browser.answer(OTHER, "refuse_all")
    browser.request(OTHER)
    assert before <= browser.names()


def traced_before_sharing(log: MemorySink, clock: Clock) -> Browser:
    """Return a browser that was traced on one host, on a site whose hosts share answers now."""
    browser = Browser(site(SITE, access_log=log, clock=clock))
    browser.answer(SHOP, "accept_all")
    browser.request(SHOP)
    browser.site = site(access_log=log, clock=clock)
    return browser


def test_visitor_id_from_before_sharing_is_used_and_erased() -> None:
    log, clock = MemorySink(), Clock()
    browser = traced_before_sharing(log, clock)
    browser.request(SHOP)
    assert len({record["visitor.id"] for record in log.records}) == 1
    clock.forward(seconds=1)
    browser.answer(WWW, "accept_all")
    browser.request(WWW)
    assert len({record["visitor.id"] for record in log.records}) == 2
    exported = browser.request(SHOP, path=f"{PREFIX}/export").json
    assert len(exported["access_records"]) == 3
    assert browser.erase(SHOP) == 3
    assert not log.records
    assert not {name for name, _ in browser.names() if "visitor" in name}


def test_withdrawal_keeps_old_visitor_ids_for_erasure() -> None:
    log, clock = MemorySink(), Clock()
    browser = traced_before_sharing(log, clock)
    clock.forward(seconds=1)
    browser.answer(WWW, "accept_all")
    browser.request(WWW)
    browser.answer(SHOP, "refuse_all")
    assert {name for name, _ in browser.names()} == {"__Secure-consent", "__Secure-visitor-erasure"}
    assert browser.erase(WWW) == 2


def test_ids_withdrawn_before_sharing_can_still_be_erased() -> None:
    log = MemorySink()
    browser = Browser(site(SITE, access_log=log))
    browser.answer(SHOP, "accept_all")
    browser.request(SHOP)
    browser.answer(SHOP, "refuse_all")
    browser.site = site(access_log=log)
    assert browser.erase(SHOP) == 1
    assert browser.names() == {("__Host-consent", f"={SHOP}")}


def test_app_cannot_set_shared_cookies() -> None:
    forged = ("__Secure-consent=x; Domain=site.example; Secure", "__Secure-visitor=x; Secure")
    browser = Browser(install(reply_app(sets=forged), SHARED))
    assert browser.request(WWW).all("set-cookie") == []


def test_service_on_one_host_can_refuse_without_answering_for_the_others() -> None:
    service = f'[services.shop]\nhost = "{SHOP}"\n[services.shop.purposes.analytics]\nrefused = true\n'
    browser = Browser(site(SHARED + service))
    fields = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")]
    body = json.dumps({"choice": "accept_all", "service": "shop"}).encode()
    assert browser.request(SHOP, "POST", PREFIX, fields, body).status == 200
    assert browser.state(SHOP)["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert browser.state(WWW)["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert [browser.state(host)["should_ask"] for host in (SHOP, WWW)] == [False, True]
    browser.answer(WWW, "accept_all")
    assert [browser.state(host)["purposes"]["analytics"] for host in (SHOP, WWW)] == [False, True]


def test_signals_over_each_of_two_answers_are_read() -> None:
    """The shared signal cookie belongs to one answer, and hides no signal over another."""
    alone, own = site(SITE)._site.own_cookies, site()._site.own_cookies
    place, now = Place(secure=True, host=WWW, domain=APEX), int(NOW)
    records = [granting_record(policy()), replace(granting_record(policy()), decided_at=now + 9)]
    fields = [
        alone.set_consent(records[0], place=HTTPS),
        alone.set_signals(frozenset({"gpc"}), records[0], NOW, place=HTTPS),
        own.set_consent(records[1], place=place),
        own.set_signals(frozenset({"dnt"}), records[1], NOW, place=place),
    ]
    read = own.read_records(b"; ".join(field.partition(b";")[0] for field in fields), place=place)
    assert {record.decided_at: set(record.overridden_by) for record in read} == {
        records[0].decided_at: {"gpc"},
        records[1].decided_at: {"dnt"},
    }


@pytest.mark.parametrize(
    ("host", "name", "domains"),
    [
        (WWW, "__Secure-visitor", ["; Domain=site.example"]),
        (WWW, "__Host-visitor", [""]),
        (WWW, "visitor", ["; Domain=site.example", ""]),
        (OTHER, "__Secure-visitor", []),
        (OTHER, "__Host-visitor", [""]),
        (OTHER, "visitor", [""]),
    ],
)
def test_own_cookies_are_deleted_where_they_were_set(host: str, name: str, domains: list[str]) -> None:
    secure = "; Secure" if name.startswith("__") else ""
    gone = "=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"
    fields = site()._site.gate.expire_cookies([name.encode()], host, secure=bool(secure))
    assert [value.decode() for _, value in fields] == [f"{name}{gone}{domain}{secure}" for domain in domains]


def test_request_without_host_is_host_only() -> None:
    own = site()._site.own_cookies
    assert find_place(own, {"scheme": "https", "headers": [(b"accept", b"*/*")]}) == HTTPS
    assert find_place(own, {"headers": [(b"host", b"x" * 70_000)]}) == Place(secure=False)


def test_answer_on_unlisted_host_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser(site())
    for host in (OTHER, OTHER, WWW, 'a"b.test', *(f"h{number}.test" for number in range(3))):
        browser.answer(host, "refuse_all")
    logged = [record.getMessage() for record in caplog.records]
    assert logged[0].startswith(
        'An answer was given on "blog.site.example", and counts there alone: [site] hosts lists site.example, '
        "shop.site.example, www.site.example."
    )
    assert 'answer was given on "a\'b.test", and' in logged[1]
    assert len(logged) == 5
    Browser(site(SITE)).answer(OTHER, "refuse_all")
    assert len(caplog.records) == 5


@pytest.mark.requirement("PO-03")
def test_settings_page_names_the_hosts_where_an_answer_counts() -> None:
    said = "Your choice counts on: site.example, shop.site.example, www.site.example."
    browser = Browser(site())
    for _ in range(2):
        assert said in browser.request(SHOP, path=PREFIX).text
        browser.answer(WWW, "refuse_all")
    assert "Your choice counts on" not in browser.request(OTHER, path=PREFIX).text
    assert "Your choice counts on" not in Browser(site(SITE)).request(SHOP, path=PREFIX).text
