"""Published schemas and the page that shows the API: public, since editors and browsers carry no key."""

from __future__ import annotations

from driver_adapters.http.api_page import page_policy, render_page
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Handler, Operation
from driver_adapters.http.query import read_query

_HTML = b"text/html; charset=utf-8"


def schema_operations(openapi: bytes, dag_schema: bytes, prefix: str) -> list[Operation]:
    """Declare the routes that give these documents; `openapi` empty = only to be described."""
    page = render_page(openapi, prefix) if openapi else b""
    # The browser holds the page to loading nothing: whatever a title might hold stays text, and the key stays here.
    page_headers = ((b"content-security-policy", page_policy()), (b"referrer-policy", b"no-referrer"))
    return [
        Operation(
            id="readDagSchema",
            method="GET",
            path="/schemas/dag.json",
            summary="JSON Schema of a DAG document",
            tag="Schemas",
            handle=_document(Reply(200, dag_schema, b"application/schema+json")),
            answers=(Answer(status=200, description="The schema.", media_type="application/schema+json"),),
        ),
        Operation(
            id="readOpenApi",
            method="GET",
            path="/schemas/openapi.json",
            summary="This API as OpenAPI 3.1",
            tag="Schemas",
            handle=_document(Reply(200, openapi)),
            answers=(Answer(status=200, description="The document."),),
        ),
        Operation(
            id="readApiPage",
            method="GET",
            path="/docs",
            summary="This API as a page for people",
            tag="Schemas",
            handle=_document(Reply(200, page, _HTML, page_headers)),
            answers=(Answer(status=200, description="The page.", media_type="text/html"),),
        ),
    ]


def _document(reply: Reply) -> Handler:
    async def read_document(call: Call) -> Reply:
        read_query(call.query, ())
        return reply

    return read_document
