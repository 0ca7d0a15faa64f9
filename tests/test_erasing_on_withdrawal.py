"""Where the policy promises it, a withdrawal erases what was recorded; and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.erasing import Erasing
from cookie_consent.sinks import MemorySink
from tests.asgi import PHONE, SITE, Visitor, install
from tests.visitor_browser import soon

PROMISED = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
OTHER = """
[purposes.research]
title = { en = "Research", ja = "調査" }
description = { en = "We do research.", ja = "調査をします。" }
retention = "30 days"
traces = true
"""
ON_WHOIS = {"service": "whois"}  # which refuses tracing, whatever was answered


class Erased(MemorySink):
    """A sink that tells of whom records were erased."""

    def __init__(self) -> None:
        super().__init__()
        self.erased: list[str] = []

    def erase(self, visitor_id: str) -> int:
        self.erased.append(visitor_id)
        return super().erase(visitor_id)

    def all_erased(self) -> list[str]:
        """Return of whom they were erased, once nobody is at it any longer."""
        for thread in threading.enumerate():
            if thread.name == "consent-erasing":
                thread.join()
        return self.erased


def traced(text: str = PROMISED) -> tuple[Visitor, Erased]:
    """Return a visitor who was traced on a page."""
    sink = Erased()
    visitor = Visitor(install(text=text, access_log=sink), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    assert len(sink.records) == 1
    return visitor, sink


@pytest.mark.parametrize(
    "withdraw",
    [
        Visitor.refuse,
        lambda visitor: visitor.save(media=True),
        lambda visitor: visitor.post({"choice": "refuse_all"}, [("dnt", "1")]),
    ],
    ids=["all", "tracing alone", "a signal had switched it off"],
)
def test_a_withdrawal_erases_what_was_recorded(withdraw: Callable[[Visitor], object]) -> None:
    visitor, sink = traced()
    withdraw(visitor)
    assert "__Host-visitor" not in visitor.jar, "nobody could ask for it any longer"
    assert sink.all_erased()
    assert sink.records == []


@pytest.mark.parametrize("answer", [{"choice": "accept_all"}, {"choice": "save", "purposes": {"media": True}}])
def test_an_answer_where_tracing_is_refused_anyway_is_no_withdrawal(answer: dict[str, object]) -> None:
    visitor, sink = traced()
    visitor.post(answer | ON_WHOIS)
    visitor.get("/")
    assert (len(sink.records), sink.all_erased()) == (2, [])


def test_who_still_allows_tracing_for_another_purpose_is_not_forgotten() -> None:
    visitor, sink = traced(PROMISED + OTHER)
    visitor.save(research=True)
    visitor.get("/")
    assert (len(sink.records), sink.all_erased()) == (2, [])


def test_nothing_is_erased_where_nothing_is_promised_or_nobody_was_traced() -> None:
    visitor, sink = traced(SITE)
    visitor.refuse()
    assert (len(sink.records), sink.all_erased()) == (1, [])
    visitor, sink = traced()
    del visitor.jar["__Host-visitor"]
    visitor.refuse()
    assert sink.all_erased() == []


class Held(Erased):
    """A sink that erases only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def erase(self, visitor_id: str) -> int:
        self.go_on.wait()
        return super().erase(visitor_id)


def test_however_many_withdraw_a_few_threads_erase_all_of_them_and_each_once() -> None:
    sink = Held()
    erasing = Erasing(sink)
    for number in [*range(100), *range(50, 100)]:
        erasing.start(str(number))
    threads = sum(thread.name == "consent-erasing" for thread in threading.enumerate())
    sink.go_on.set()
    assert sorted(map(int, sink.all_erased())) == list(range(100))
    assert threads == 4


def test_what_cannot_be_erased_is_said_with_the_id_by_which_it_can_be_and_the_others_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Torn(Erased):
        def erase(self, visitor_id: str) -> int:
            if visitor_id == "one":
                raise OSError("the disk is torn")
            return super().erase(visitor_id)

    sink = Torn()
    erasing = Erasing(sink)
    erasing.start("one")
    erasing.start("two")
    assert sink.all_erased() == ["two"]
    assert "of visitor one, who withdrew, could not all be erased" in caplog.text


def test_where_no_thread_can_be_started_a_withdrawal_counts_and_is_erased_with_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = [True]

    class Thread(threading.Thread):
        def start(self) -> None:
            if full:
                raise RuntimeError("can't start new thread")
            super().start()

    sink = Erased()
    erasing = Erasing(sink, Thread)
    erasing.start("one")
    assert "are erased later: no thread can be started" in caplog.text
    full.clear()
    erasing.start("two")
    assert sink.all_erased() == ["one", "two"]


def test_without_an_access_log_there_is_nothing_to_erase() -> None:
    app: ConsentMiddleware = install(text=PROMISED)
    visitor = Visitor(app)
    visitor.accept()
    assert visitor.refuse().status == 200


def test_records_that_were_on_their_way_are_erased_once_they_have_come() -> None:
    sink, slept, go_on = Erased(), list[float](), threading.Event()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert go_on.wait(20)

    erasing = Erasing(sink, sleep=sleep)
    erasing.again("late")
    erasing.again("later")
    sink.records.append({"visitor.id": "late"})
    go_on.set()
    assert soon(lambda: sink.erased == ["late", "later"])
    assert sink.records == []
    assert 15 < slept[0] <= 20
    erasing.again("late")
    assert soon(lambda: sink.erased == ["late", "later", "late"])


def test_a_withdrawal_has_records_erased_twice() -> None:
    sink = Erased()
    Erasing(sink, sleep=lambda seconds: None).start("one")
    assert soon(lambda: sink.erased == ["one", "one"])
