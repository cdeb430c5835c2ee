"""Routes for whoever writes a DAG: a free title, and every operator with its schema."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from core.access.version_access import VersionAccess
from core.dag.catalog import OperatorSpec
from core.dag.title import TITLE_DEFAULT
from driver_adapters.http.conditions import etag_header, not_modified
from driver_adapters.http.dag_wire import OperatorBody, OperatorList, TitleBody
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.operation import Answer, Operation
from driver_adapters.http.query import Parameter, read_query

_TITLE = Parameter(
    name="title", kind=str, length_max=128, default=TITLE_DEFAULT, description="The title that is wished for."
)
_EXAMPLE_OPERATOR: dict[str, Any] = {
    "name": "@debug/noop",
    "title": "Give the parameters back",
    "version": "1",
    "kind": "attempt",
    "parameters": {"type": "object"},
    "output": {"type": "object"},
    "is_available": True,
    "has_side_effects": False,
    "dry_run": "runs",
    "retry": {
        "max_attempts": 1,
        "delay_s": 1.0,
        "backoff": 2.0,
        "max_delay_s": 300.0,
        "jitter": "full",
        "on": ["failed", "timeout", "unavailable", "exhausted"],
    },
    "timeout": {"attempt_s": None, "total_s": None, "queue_s": None, "heartbeat_s": None},
    "expression_fields": [],
    "secrets_in": [],
}


def dag_catalog_operations(versions: VersionAccess) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _CatalogRoutes(versions)
    return [_suggest(routes), _catalog(routes)]


def _suggest(routes: _CatalogRoutes) -> Operation:
    return Operation(
        id="suggestTitle",
        method="GET",
        path="/dags/suggest-name",
        summary="Propose a title that no DAG has",
        tag="DAGs",
        handle=routes.suggest,
        permission="dag:list",
        query=(_TITLE,),
        answers=(Answer(status=200, description="A free title.", shape=TitleBody, example={"title": "Greet 2"}),),
    )


def _catalog(routes: _CatalogRoutes) -> Operation:
    return Operation(
        id="listOperators",
        method="GET",
        path="/operators/catalog",
        summary="List every operator with the schemas of its parameters and output",
        tag="Operators",
        handle=routes.catalog,
        permission="operator:list",
        answers=(
            Answer(
                status=200,
                description="All operators, by name.",
                shape=OperatorList,
                example={"items": [_EXAMPLE_OPERATOR]},
                headers=("ETag",),
            ),
            Answer(status=304, description="As it was read before.", media_type=""),
        ),
        takes_none_match=True,
    )


class _CatalogRoutes:
    def __init__(self, versions: VersionAccess) -> None:
        self._versions = versions
        self._catalog = b""
        self._tag = ""

    async def suggest(self, call: Call) -> Reply:
        wish = read_query(call.query, (_TITLE,))["title"]
        title = await self._versions.suggest_title(call.scope, wish)
        return Reply(200, msgspec.json.encode(TitleBody(title)))

    async def catalog(self, call: Call) -> Reply:
        read_query(call.query, ())
        specs = self._versions.operators(call.scope)
        if not self._catalog:  # the operators of a process are fixed; some hundred kilobytes are laid out once
            self._catalog = msgspec.json.encode(OperatorList(tuple(map(_operator_body, specs))))
            self._tag = hashlib.sha256(self._catalog).hexdigest()[:32]
        known = not_modified(call, self._tag)
        return known or Reply(200, self._catalog, headers=(etag_header(self._tag),))


def _operator_body(spec: OperatorSpec) -> OperatorBody:
    fields = {name: getattr(spec, name) for name in OperatorBody.__struct_fields__}
    return OperatorBody(
        **fields | {"retry": msgspec.to_builtins(spec.retry), "timeout": msgspec.to_builtins(spec.timeout)}
    )
