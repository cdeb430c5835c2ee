"""The catalogue of metrics: name, kind, meaning and labels of every one. Labels are few, bounded and never ids.

`docs/metrics.md` is written from it; a test compares it with what a process really shows.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from core.engine.node.terms import NodeStats
from core.engine.state import InstanceStatus
from core.ports.rate_limiter import RateScope

Kind = Literal["counter", "gauge", "histogram"]
OTHER = "other"
# Operators of third parties name themselves: beyond this many names the rest is counted as `other`.
OPERATORS_MAX = 600
# Routes times methods times statuses that this program has; far more would mean that a label is not what it should be.
REQUEST_LABELS_MAX = 2_000

# An attempt takes up to an hour; beyond is one bucket.
ATTEMPT_BUCKETS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0)
# Programs of this project and two modes times the reasons of a port: some dozens.
RUN_LABELS_MAX = 200
# A program's process starts within some 10 ms; what runs longer than an hour is ended.
RUN_BUCKETS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0)
# A commit takes from 0.1 ms (memory) to the seconds of a disk that is in trouble.
COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
COMMIT_BUCKETS_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A request is answered within milliseconds, or waits up to 60 s for an end.
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 61.0)
# A healthy loop is late by some 0.1 ms; from 0.5 s on the lease is in danger (`lease_margin_s`).
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5)


class Label(msgspec.Struct, frozen=True):
    """One label: its name and what it can be."""

    name: str
    values: str


class MetricSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One metric. `name` is as it is shown but for the `_total` of counters; `source` says who counts it."""

    name: str
    kind: Kind
    meaning: str
    source: str
    labels: tuple[Label, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of its labels, in order."""
        return tuple(label.name for label in self.labels)

    @property
    def shown_name(self) -> str:
        """The name as it is shown: counters end in `_total`."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def _counter(name: str, meaning: str, source: str, *labels: Label) -> MetricSpec:
    return MetricSpec(name=name, kind="counter", meaning=meaning, source=source, labels=labels)


def _gauge(name: str, meaning: str, source: str, *labels: Label) -> MetricSpec:
    return MetricSpec(name=name, kind="gauge", meaning=meaning, source=source, labels=labels)


def _histogram(name: str, meaning: str, source: str, *labels: Label) -> MetricSpec:
    return MetricSpec(name=name, kind="histogram", meaning=meaning, source=source, labels=labels)


_HTTP, _ENGINE, _NODE, _STORE, _PROCESS, _TRACES = (
    "HTTP servers", "Engine: instances, attempts, commits", "Engine node", "Store", "Process",
    "Traces, when FLOW_OTLP_ENDPOINT is set",
)  # fmt: skip
_OPERATOR = Label("operator", f"name of an operator; `{OTHER}` beyond {OPERATORS_MAX} sets of labels")
_ROUTE = Label("route", "path of the route with its parameters as `{name}`; empty: no route has the path")
_METHOD = Label("method", f"`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` or `{OTHER}`")

REQUESTS = _counter("flow_http_requests", "Requests that were answered", _HTTP, _ROUTE, _METHOD,
                    Label("status", "status of the answer"))  # fmt: skip
REQUEST_SECONDS = _histogram(
    "flow_http_request_seconds", "From a request's arrival to the beginning of its answer", _HTTP, _ROUTE, _METHOD
)
REQUESTS_OPEN = _gauge("flow_http_requests_open", "Requests that are worked on now, streams included", _HTTP)
RATE_REFUSALS = _counter(
    "flow_rate_limit_refusals", "Requests refused since there were too many within a minute", _HTTP,
    Label("scope", ", ".join(f"`{scope}`" for scope in get_args(RateScope)) + ": whose limit it was"),
)  # fmt: skip

_OUTCOMES = ", ".join(f"`{status.value}`" for status in InstanceStatus if status.is_terminal)
INSTANCES_ENDED = _counter("flow_instances_ended", "Instances by outcome", _ENGINE, Label("outcome", _OUTCOMES))
QUARANTINED = _counter("flow_instances_quarantined", "Instances that cannot go on", _ENGINE)
INPUTS_FAILED = _counter("flow_inputs_failed", "Inputs dropped since deciding them raised", _ENGINE)
ATTEMPT_SECONDS = _histogram(
    "flow_attempt_seconds", "Duration of attempts by operator and result", _ENGINE, _OPERATOR,
    Label("result", "`succeeded`, `failed`, `cancelled`"),
)  # fmt: skip
ATTEMPTS_RETRIED = _counter(
    "flow_attempts_retried", "Attempts begun whose number is greater than 1", _ENGINE, _OPERATOR
)
ATTEMPTS_LOST = _counter("flow_attempts_lost", "Attempts of older epochs, outcome unknown", _ENGINE)
RESULTS_LATE = _counter("flow_results_late", "Outcomes that no longer counted", _ENGINE)
COMMIT_ITEMS = _histogram("flow_commit_items", "Instances per commit", _ENGINE)
COMMIT_SECONDS = _histogram("flow_commit_seconds", "Duration of a commit", _ENGINE)
COMMIT_REFUSALS = _counter(
    "flow_commit_refusals", "Instances that the store took out of a batch", _ENGINE,
    Label("reason", "`duplicate`, `seen`, `inbox`, `seq`, `object`, `gate`, `invalid`"),
)  # fmt: skip
SHARDS_FENCED = _counter("flow_shards_fenced", "Shards lost or given up", _ENGINE)

_PROGRAM = (Label("program", "`python`, or a program of this project"), Label("mode", "`pure`, `isolated`"))
RUNS = _counter(
    "flow_program_runs", "Programs run beside the engine, by how they ended", _ENGINE, *_PROGRAM,
    Label("result", "`succeeded`, `cancelled`, or the reason: `raised`, `invalid`, `unavailable`, `died`, or a bound: "
                    "`wall`, `cpu`, `memory`, `output`, `log`"),
)  # fmt: skip
RUN_SECONDS = _histogram(
    "flow_program_run_seconds", "Duration of such runs, the wait for a place included", _ENGINE, *_PROGRAM
)

_NODE_MEANINGS = {
    "queued_inputs": "Inputs that wait to be decided: the queue's depth",
    "hot_instances": "Instances in memory",
    "open_attempts": "Attempts under way",
    "waiting_instances": "Instances whose tasks wait for a place among the attempts",
    "owned_shards": "Shards that this node owns",
    "waiters": "Callers that wait for an end",
    "value_bytes": "Bytes of values kept in memory",
    "quarantined_instances": "Instances in memory that cannot go on",
    "commit_count": "Commits that landed",
    "committed_item_count": "Instances that landed in commits",
    "refused_item_count": "Instances taken out of a commit",
    "unknown_commit_count": "Commits whose fate had to be found out",
    "fenced_count": "Times that shards were lost or given up",
    "late_result_count": "Outcomes that no longer counted",
    "permit_wait_count": "Instances and tasks that had to wait in line behind a limit",
    "permit_grant_count": "Permits granted to instances and tasks that waited for them",
    "put_off_retry_count": "Retries put off since those of their business domain were over their budget",
}


def node_spec(field: str) -> MetricSpec:
    """Give the metric of one field of `NodeStats`: what only grows (`_count`) is a counter."""
    bare = field.removesuffix("_count")
    meaning = _NODE_MEANINGS.get(field) or bare.replace("_", " ").capitalize()
    make = _counter if field.endswith("_count") else _gauge
    return make(f"flow_node_{bare}", meaning, _NODE)


STORE_SPECS = {
    "commits": _counter("flow_store_commits", "Transactions that landed", _STORE),
    "statements": _counter("flow_store_statements", "Statements run", _STORE),
    "rows": _counter("flow_store_rows", "Rows changed", _STORE),
    "bytes": _counter("flow_store_written_bytes", "Bytes written to the log", _STORE),
    "checkpoints": _counter("flow_store_checkpoints", "Copies of the log into the file", _STORE),
}
"""By the field of `StoreCounts` that is shown."""

VIOLATIONS = _counter(
    "flow_invariant_violations", "Invariants found not to hold in the store, each once",
    _STORE, Label("invariant", "its name: `I1` to `I16`, `S6`, `S14`, `table`, `counters`, `timers`, `plan`"),
)  # fmt: skip
UNVERIFIED = _gauge(
    "flow_oldest_unverified_commit_seconds", "At most so old is the oldest commit that was not yet proved", _STORE
)
UNSEALED = _gauge("flow_oldest_unsealed_act_seconds", "So long the oldest row of the audit waits for its seal", _STORE)

LOOP_LAG = _histogram(
    "flow_event_loop_lag_seconds", "How late wake-ups of the event loop came, twice a second", _PROCESS
)
_OF_LIBRARY = (
    _counter("process_cpu_seconds", "Total user and system CPU time spent in seconds", _PROCESS),
    _gauge("process_resident_memory_bytes", "Resident memory size in bytes", _PROCESS),
    _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes", _PROCESS),
    _gauge("process_open_fds", "Number of open file descriptors", _PROCESS),
    _gauge("process_max_fds", "Maximum number of open file descriptors", _PROCESS),
    _gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds", _PROCESS),
)
SPANS = _counter(
    "flow_trace_spans",
    "Spans by what became of them",
    _TRACES,
    Label("result", "`ended`: made here; `exported`, `failed`; the rest waits or was lost"),
)

CATALOG: tuple[MetricSpec, ...] = (
    REQUESTS, REQUEST_SECONDS, REQUESTS_OPEN, RATE_REFUSALS,
    INSTANCES_ENDED, QUARANTINED, INPUTS_FAILED, ATTEMPT_SECONDS, ATTEMPTS_RETRIED, ATTEMPTS_LOST, RESULTS_LATE,
    COMMIT_ITEMS, COMMIT_SECONDS, COMMIT_REFUSALS, SHARDS_FENCED, RUNS, RUN_SECONDS,
    *map(node_spec, NodeStats.__struct_fields__), *STORE_SPECS.values(), VIOLATIONS, UNVERIFIED, UNSEALED,
    LOOP_LAG, *_OF_LIBRARY, SPANS,
)  # fmt: skip
