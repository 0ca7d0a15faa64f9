"""Tests of problem details (RFC 9457)."""

from __future__ import annotations

import pytest

from cookie_consent.http.forms import Problem


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 503])
def test_problem_document_has_type_title_status_and_detail(status: int) -> None:
    problem = Problem(status, "This is wrong.")
    document = problem.document()
    assert set(document) == {"type", "title", "status", "detail"}
    assert (document["type"], document["status"], document["detail"]) == ("about:blank", status, "This is wrong.")
    assert document["title"]
    assert str(problem) == "This is wrong."


def test_problem_carries_visitor_text_and_headers() -> None:
    problem = Problem(405, "No.", "error_cross_site", [(b"allow", b"GET")])
    assert (problem.text, problem.fields) == ("error_cross_site", [(b"allow", b"GET")])
    assert Problem(400, "No.").fields == ()
