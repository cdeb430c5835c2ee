"""`@http/request`: what it sends, and what it makes of answers (semantics.md 10)."""

from __future__ import annotations

from typing import Any

import pytest

from core.executor.operator import Failed, Outcome, Succeeded
from core.ports.http_client import (
    TOTAL_S_MAX,
    BodyTooLarge,
    EgressForbidden,
    EgressTimeout,
    EgressUnavailable,
    HttpAnswer,
    HttpRequest,
    HttpResponse,
    RequestMalformed,
)
from driven_adapters.operators.http_request import ERROR_BODY_CHARS_MAX, HttpRequestOperator
from tests.unit.executor.simulated import LoopClock, call_of, in_virtual_time


class Answering:
    """A client that keeps requests and gives one answer."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.answer = answer
        self.requests: list[HttpRequest] = []

    async def request(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return self.answer


def response(status: int = 200, body: bytes = b"", **headers: str) -> HttpResponse:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status=status, headers=pairs, body=body)


def outcome_of(answer: HttpAnswer, **parameters: Any) -> Outcome:
    operator = HttpRequestOperator(Answering(answer), LoopClock())
    return in_virtual_time(operator.execute(call_of({"url": "http://a.test/", **parameters})))


def failed_of(answer: HttpAnswer, **parameters: Any) -> Failed:
    outcome = outcome_of(answer, **parameters)
    assert isinstance(outcome, Failed)
    return outcome


def sent(attempt: int = 1, deadline_at: float | None = None, **parameters: Any) -> HttpRequest:
    client = Answering(response())
    operator = HttpRequestOperator(client, LoopClock())
    call = call_of({"url": "http://a.test/", **parameters}, attempt=attempt, deadline_at=deadline_at)
    in_virtual_time(operator.execute(call))
    return client.requests[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid"),
        (401, "unauthenticated"),
        (403, "forbidden"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "conflict"),
        (410, "conflict"),
        (418, "conflict"),
        (422, "invalid"),
        (429, "exhausted"),
        (500, "failed"),
        (501, "failed"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "unavailable"),
        (599, "failed"),
        (304, "conflict"),
    ],
)
def test_s54_status_that_is_no_success_fails_with_its_kind(status: int, kind: str) -> None:
    failed = failed_of(response(status, b"why"))
    assert (kind, {"status": status, "body": "why"}) == (failed.error_kind, failed.data)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (RequestMalformed("m"), "invalid"),
        (EgressForbidden("m"), "forbidden"),
        (EgressUnavailable("m"), "unavailable"),
        (EgressTimeout("m"), "timeout"),
        (BodyTooLarge("m"), "limit"),
    ],
)
def test_request_without_answer_fails_with_its_kind(answer: HttpAnswer, kind: str) -> None:
    assert Failed(error_kind=kind, message="m") == outcome_of(answer)


@pytest.mark.parametrize(
    ("status", "wish", "expected_s"),
    [
        (429, "7", 7.0),
        (502, "1", 1.0),
        (503, "0", 0.0),
        (504, "Sun, 01 Mar 2026 12:01:30 GMT", 90.0),
        (503, "Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        (503, "soon", None),
        (503, "-1", None),
        (503, "Sun, 01 Mar 2026 12:01:30", None),
        (503, "9" * 30, 999_999_999.0),
        (500, "7", None),
        (404, "7", None),
    ],
)
def test_wish_of_a_target_that_cannot_is_honoured(status: int, wish: str, expected_s: float | None) -> None:
    assert expected_s == failed_of(response(status, retry_after=wish)).retry_after_s


@pytest.mark.parametrize(
    ("success", "status", "is_success"),
    [
        ("200-299", 299, True),
        ([200, "300-308"], 302, True),
        ([404], 404, True),
        ([404], 200, False),
        (201, 201, True),
        (201, 200, False),
    ],
)
def test_success_names_the_statuses_that_count(success: Any, status: int, is_success: bool) -> None:
    assert is_success == isinstance(outcome_of(response(status), success=success), Succeeded)


@pytest.mark.parametrize("success", ["299-200", ["299-200"]])
def test_success_that_is_an_empty_range_fails_as_invalid_and_nothing_is_sent(success: Any) -> None:
    client = Answering(response())
    outcome = in_virtual_time(
        HttpRequestOperator(client, LoopClock()).execute(call_of({"url": "http://a.test/", "success": success}))
    )
    assert isinstance(outcome, Failed)
    assert ("invalid", []) == (outcome.error_kind, client.requests)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"[1]", "application/problem+json; charset=utf-8", [1]),
        (b"null", "Application/JSON", None),
        (b"{", "application/json", "{"),
        (b"1e400", "application/json", "1e400"),
        (b"[" * 50_000, "application/json", "[" * 50_000),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b'{"a": 1}', "application/jsonp", '{"a": 1}'),
        ("\u20ac".encode(), "", "\u20ac"),
        ("\u20ac".encode("cp1252"), "text/html; charset=iso-8859-1", "\u20ac"),
        ("\u20ac".encode("utf-16"), 'text/html; charset="UTF-16"', "\u20ac"),
        (b"a", "text/html; charset=unicode_escape", "a"),
        (b"\xff", "text/plain", "\ufffd"),
        (b"", "application/json", ""),
    ],
)
def test_body_is_parsed_when_it_is_json_and_text_otherwise(body: bytes, content_type: str, expected: Any) -> None:
    outcome = outcome_of(response(200, body, content_type=content_type))
    assert isinstance(outcome, Succeeded)
    assert expected == outcome.output["body"]


def test_header_sent_twice_is_one_value() -> None:
    answer = HttpResponse(status=200, headers=(("a", "1"), ("b", "x"), ("a", "2")), body=b"")
    outcome = outcome_of(answer)
    assert isinstance(outcome, Succeeded)
    assert {"a": "1, 2", "b": "x"} == outcome.output["headers"]


def test_body_of_a_refusal_is_cut_in_the_error() -> None:
    assert len(failed_of(response(500, b"x" * 100_000)).data["body"]) == ERROR_BODY_CHARS_MAX
    assert failed_of(response(422, b'{"a": 1}', content_type="application/json")).data["body"] == '{"a":1}'


def test_every_attempt_sends_the_same_key_and_its_own_number() -> None:
    for attempt in (1, 2, 9):
        headers = dict(sent(attempt).headers)
        assert ("key-of-the-task", str(attempt)) == (headers["idempotency-key"], headers["x-flow-attempt"])


@pytest.mark.parametrize("name", ["Idempotency-Key", "IDEMPOTENCY-KEY", "X-Flow-Attempt"])
def test_step_cannot_replace_the_engines_headers(name: str) -> None:
    failed = failed_of(response(), headers={name: "mine"})
    assert failed.error_kind == "invalid"


@pytest.mark.parametrize(
    ("content", "body", "content_type"),
    [
        ({"json": {"a": [1, None]}}, b'{"a":[1,null]}', "application/json"),
        ({"json": None}, b"null", "application/json"),
        ({"form": {"a": "x y", "b": [1, True], "c": "&="}}, b"a=x+y&b=1&b=true&c=%26%3D", None),
        ({"text": "\u20ac"}, "\u20ac".encode(), "text/plain; charset=utf-8"),
        ({}, b"", ""),
        ({"json": 1, "headers": {"Content-Type": "application/x"}}, b"1", "application/x"),
    ],
)
def test_content_is_written_as_its_field_says(content: dict[str, Any], body: bytes, content_type: str | None) -> None:
    request = sent(method="POST", **content)
    wanted = "application/x-www-form-urlencoded" if content_type is None else content_type
    assert (body, wanted) == (request.body, dict(request.headers).get("content-type", ""))


@pytest.mark.parametrize("content", [{"json": "\ud800"}, {"text": "\ud800"}])
def test_content_with_a_lone_surrogate_fails_as_invalid(content: dict[str, Any]) -> None:
    assert failed_of(response(), **content).error_kind == "invalid"


@pytest.mark.parametrize(
    ("url", "query", "expected"),
    [
        ("http://a.test/", {"q": "a b&c", "n": [1, 2]}, "http://a.test/?q=a+b%26c&n=1&n=2"),
        ("http://a.test/?x=1#part", {"q": True}, "http://a.test/?x=1&q=true#part"),
        ("http://a.test/", {}, "http://a.test/"),
    ],
)
def test_query_is_added_to_the_url(url: str, query: dict[str, Any], expected: str) -> None:
    assert expected == sent(url=url, query=query).url


def test_request_has_the_time_that_is_left() -> None:
    assert (12.5, TOTAL_S_MAX) == (sent(deadline_at=12.5).timeout_s, sent().timeout_s)


def test_redirects_are_followed_unless_they_count_as_success() -> None:
    assert (5, 0) == (sent().redirects_max, sent(success=[302]).redirects_max)
