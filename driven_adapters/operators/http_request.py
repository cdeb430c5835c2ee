"""`@http/request`: one HTTP call, its answer mapped to an outcome (semantics.md 10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, assert_never
from urllib.parse import quote_plus

import msgspec

from core.dag.catalog import OperatorSpec, Retry, Timeout
from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.ports.clock import Clock
from core.ports.http_client import (
    BODY_BYTES_MAX_DEFAULT,
    REDIRECT_COUNT_MAX,
    TOTAL_S_MAX,
    BodyTooLarge,
    EgressForbidden,
    EgressTimeout,
    EgressUnavailable,
    HttpClient,
    HttpRequest,
    HttpResponse,
    RequestMalformed,
)
from driven_adapters.operators.http_schema import HTTP_OUTPUT, HTTP_PARAMETERS, STATUS_RANGE

ERROR_BODY_CHARS_MAX = 2000  # of a refusing answer's body go into the error: enough to read why
USER_AGENT = "flow-automation"

_KIND_OF_STATUS = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    422: "invalid",
    429: "exhausted",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
_HONOURS_RETRY_AFTER = frozenset((429, 502, 503, 504))
_OWN = frozenset(("idempotency-key", "x-flow-attempt"))
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*\"?([a-z0-9_-]+)", re.IGNORECASE)
# Only charsets of text: Python knows codecs that are none. Windows-1252 reads Latin-1 too, as the web does.
_CODECS = {"utf-8": "utf-8", "iso-8859-1": "cp1252", "latin1": "cp1252", "windows-1252": "cp1252", "utf-16": "utf-16"}


class HttpRequestOperator:
    """Sends one request through the guarded client, with the task's idempotency key."""

    spec = OperatorSpec(
        name="@http/request",
        title="HTTP request",
        kind="attempt",
        parameters=HTTP_PARAMETERS,
        output=HTTP_OUTPUT,
        retry=Retry(),
        timeout=Timeout(attempt_s=60.0),
        has_side_effects=True,
        secrets_in=("/url", "/query", "/headers", "/json", "/form", "/text"),
        dry_run="skips",
    )

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        """Take the guarded client, and the clock that gives `Retry-After` dates and deadlines their meaning."""
        self._http = http
        self._clock = clock

    async def execute(self, call: Call) -> Outcome:
        """Send the request and map what comes back to an outcome."""
        parameters = call.parameters
        success = _success_of(parameters.get("success", "200-299"))
        if isinstance(success, Failed):
            return success
        request = self._request_of(call, success)
        if isinstance(request, Failed):
            return request
        answer = await self._http.request(request)
        match answer:
            case HttpResponse():
                return self._outcome_of(answer, success)
            case RequestMalformed(message):
                return Failed(error_kind="invalid", message=message)
            case EgressForbidden(message):
                return Failed(error_kind="forbidden", message=message)
            case EgressUnavailable(message):
                return Failed(error_kind="unavailable", message=message)
            case EgressTimeout(message):
                return Failed(error_kind="timeout", message=message)
            case BodyTooLarge(message):
                return Failed(error_kind="limit", message=message)
            case _:
                assert_never(answer)

    def _request_of(self, call: Call, success: frozenset[int]) -> HttpRequest | Failed:
        parameters = call.parameters
        given = {name.lower(): value for name, value in parameters.get("headers", {}).items()}
        if own := sorted(given.keys() & _OWN):
            return Failed(error_kind="invalid", message=f"header {own[0]!r} is the engine's own")
        content = _content_of(parameters)
        if isinstance(content, Failed):
            return content
        body, content_type = content
        headers = {"accept": "*/*", "user-agent": USER_AGENT}
        headers |= {"content-type": content_type} if content_type else {}
        headers |= given
        headers |= {"idempotency-key": call.idempotency_key, "x-flow-attempt": str(call.attempt)}
        left_s = TOTAL_S_MAX if call.deadline_at is None else call.deadline_at - self._clock.monotonic()
        return HttpRequest(
            method=parameters.get("method", "GET"),
            url=_with_query(parameters["url"], parameters.get("query", {})),
            headers=tuple(headers.items()),
            body=body,
            body_bytes_max=parameters.get("body_bytes_max", BODY_BYTES_MAX_DEFAULT),
            timeout_s=left_s,
            # Who counts a redirect as success wants to see it, not where it leads.
            redirects_max=0 if any(300 <= status < 400 for status in success) else REDIRECT_COUNT_MAX,
        )

    def _outcome_of(self, answer: HttpResponse, success: frozenset[int]) -> Outcome:
        body = _body_of(answer)
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if answer.status in success:
            return Succeeded({"status": answer.status, "headers": headers, "body": body})
        shown = body if isinstance(body, str) else msgspec.json.encode(body).decode()
        return Failed(
            error_kind=_kind_of(answer.status),
            message=f"the target answered {answer.status}",
            data={"status": answer.status, "body": shown[:ERROR_BODY_CHARS_MAX]},
            retry_after_s=self._retry_after_s(answer),
        )

    def _retry_after_s(self, answer: HttpResponse) -> float | None:
        text = answer.header("retry-after") if answer.status in _HONOURS_RETRY_AFTER else None
        if text is None:
            return None
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            at = parsedate_to_datetime(text)
            return max(0.0, (at - self._clock.now()).total_seconds())
        except (ValueError, TypeError):  # TypeError: a date without zone; it says nothing then
            return None


def _kind_of(status: int) -> str:
    if (kind := _KIND_OF_STATUS.get(status)) is not None:
        return kind
    # A status below 400 that the step does not count as success will most likely come again: as other 4xx, no retry.
    return "failed" if status >= 500 else "conflict"


def _success_of(success: Any) -> frozenset[int] | Failed:
    statuses: set[int] = set()
    for entry in success if isinstance(success, list) else [success]:
        if isinstance(entry, int):
            statuses.add(entry)
            continue
        bounds = re.fullmatch(STATUS_RANGE, entry)
        if bounds is None or bounds[1] > bounds[2]:
            return Failed(error_kind="invalid", message="success is a status, a range as 200-299, or a list of these")
        statuses.update(range(int(bounds[1]), int(bounds[2]) + 1))
    return frozenset(statuses)


def _content_of(parameters: Mapping[str, Any]) -> tuple[bytes, str] | Failed:
    try:
        if "json" in parameters:
            return msgspec.json.encode(parameters["json"]), "application/json"
        if "form" in parameters:
            return _form_text(parameters["form"]).encode(), "application/x-www-form-urlencoded"
        if "text" in parameters:
            return parameters["text"].encode(), "text/plain; charset=utf-8"
    except UnicodeEncodeError:
        return Failed(error_kind="invalid", message="the body has text with a lone surrogate")
    return b"", ""


def _form_text(fields: Mapping[str, Any]) -> str:
    pairs = [(name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value])]
    return "&".join(f"{quote_plus(name)}={quote_plus(_scalar_text(value))}" for name, value in pairs)


def _scalar_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    if not query:
        return url
    bare, hash_sign, fragment = url.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{_form_text(query)}{hash_sign}{fragment}"


def _body_of(answer: HttpResponse) -> Any:
    content_type = answer.header("content-type") or ""
    if _JSON_TYPE.match(content_type):
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, RecursionError):
            pass  # called JSON and is none: text, as the step's schema will say
    charset = _CHARSET.search(content_type)
    codec = _CODECS.get(charset[1].lower(), "utf-8") if charset else "utf-8"
    return answer.body.decode(codec, errors="replace")
