"""What schemathesis cannot draw from a schema: documents that are DAGs, ids of what exists. Loaded by its own process.

See test_fuzz_api. Chains of calls find ids by themselves and are left as they are, documents apart.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections import Counter, deque
from typing import Any

import schemathesis

from tests.http.fuzz_bodies import BODIES

# Operations whose body is a DAG document: any JSON by its schema, a language behind it.
DOCUMENT_OPERATIONS = frozenset({"createDag", "validateDag", "updateDag", "saveDraft"})
# Of positive bodies, every so manyth stays what was drawn, so that documents of any form are sent as well.
DRAWN_EVERY = 4
# What may take a DAG away from the calls that come later. It gets the DAGs that calls made; all others get, every second
# time, one of those that were made before and stay.
ENDING_OPERATIONS = frozenset({"deleteDag", "deactivateDag", "updateDag"})
MADE_TITLE = "Fuzz"
_numbers = itertools.count()
# Right calls so far, by operation: what every second one gets must not hang on which of all calls it happens to be.
_right_counts: Counter[str] = Counter()
# Kept instances that no other call gets, counted from the newest: those that end or hold one would take it from others,
# and acts on tasks end whatever they get, while only an open task is explained.
_OWN_PLACES = {"cancelInstance": 0, "terminateInstance": 0, "pauseInstance": 1, "whyTask": 2}
_OWN_COUNT = 3
# Path parameter -> values that exist as long as the rounds last.
WAIT_S_MAX, WAITED_S_MAX = 2, 60  # of ours, and of the API
_kept: dict[str, list[str]] = json.loads(os.environ["FUZZ_KEPT"])


# What exists, newest last: path parameter -> ids. Some were deleted or have ended meanwhile, which is as it should be.
_ids: dict[str, deque[str]] = {name: deque(maxlen=8) for name in ("dag_id", "instance_id", "file_id", "batch_id")}
_MAKERS = {"createDag": "dag_id", "runDag": "instance_id", "uploadFile": "file_id", "batchInstances": "batch_id"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Put a DAG of its own title, ids of what exists and `*` as If-Match in place of what was drawn to be right."""
    del context, kwargs
    number = next(_numbers)
    operation_id = case.operation.definition.raw.get("operationId")
    chosen = case.body.get("filter") if operation_id == "batchDags" and isinstance(case.body, dict) else None
    if operation_id == "batchInstances" and isinstance(case.body, dict):
        case.body["dry_run"] = number % 2 == 0
        if "filter" in case.body:
            case.body["dry_run"] = True  # an act on all that a drawn filter names would end those that stay
    if isinstance(chosen, dict):
        chosen.setdefault("text", MADE_TITLE)  # an act on many DAGs leaves those that stay
    with contextlib.suppress(KeyError, TypeError, ValueError):
        if WAIT_S_MAX < float((case.query or {})["wait"]) <= WAITED_S_MAX:
            case.query["wait"] = WAIT_S_MAX  # what is paused never ends, and the tool gives up after 10 s
    if not _is_right(case):
        return
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"{operation_id}-{number}"  # the same one belongs to the same body
    _right_counts[operation_id] += 1
    turn = _right_counts[operation_id]
    if turn % DRAWN_EVERY == 0:
        return
    if operation_id in DOCUMENT_OPERATIONS:
        round_name = os.environ["FUZZ_ROUND"]
        case.body = {"title": f"{MADE_TITLE} {round_name} {number}", **BODIES[number % len(BODIES)]}
    if case.meta.phase.name.value == "stateful":
        return
    _put_ids(case, operation_id, number, turn)
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"


def _put_ids(case: Any, operation_id: str, number: int, turn: int) -> None:
    parameters = case.path_parameters or {}
    for name in _ids.keys() & parameters.keys():
        if _ids[name]:
            parameters[name] = _ids[name][turn % len(_ids[name])]
    if turn % 2 and operation_id not in ENDING_OPERATIONS:
        for given in (parameters, case.query or {}):
            for name in _kept.keys() & given.keys():
                given[name] = _kept_value(name, operation_id, number // 2)
        if "wait" in (case.query or {}):
            case.query["wait"] = 0  # nobody has the time: they run longer than the rounds last
        if operation_id == "runDag":
            case.body = {"x": number}  # any JSON by its schema; those of most DAGs are objects


def _kept_value(name: str, operation_id: str, number: int) -> str:
    kept = _kept[name]
    if name != "instance_id":
        return kept[-1 - number % len(kept)]
    place = _OWN_PLACES.get(operation_id)
    return kept[-1 - (_OWN_COUNT + number % (len(kept) - _OWN_COUNT) if place is None else place)]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Keep the id of what was made."""
    del context
    name = _MAKERS.get(case.operation.definition.raw.get("operationId"))
    made = response.json().get("id") if name is not None and response.status_code in {200, 201, 202} else None
    if name is not None and made is not None:  # a dry run makes nothing
        _ids[name].append(made)


def _is_right(case: Any) -> bool:
    meta = case.meta
    if meta is None or meta.phase.name.value == "examples":
        return False
    return not any(part.mode.is_negative for part in meta.components.values())
