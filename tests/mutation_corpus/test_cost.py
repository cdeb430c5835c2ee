"""What the worst documents cost: processor time, so that other work on the machine does not count."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from core.dag.document import JSON_BYTES_MAX, YAML_BYTES_MAX
from tests.dags.check import dag, noop, problem, step
from tests.figures import figure

# One save holds the event loop for as long; liveness probes and leases bear several times this.
ANY_MS_MAX = 1_000
# Nested texts are cut while they are read.
DEEP_MS_MAX = 100


def filled(text: bytes, part: bytes, end: bytes, limit: int) -> bytes:
    """Repeat a part as often as the limit of the notation lets it."""
    return text + part * ((limit - len(text) - len(end)) // len(part)) + end


HEAD = b'{"title": "T", "steps": [{"id": "a", "operator": "@debug/noop", "parameters": {"x": ['
DEEP: dict[str, bytes] = {
    "json lists": b'{"a":' + b"[" * 100_000,
    "json objects": b'{"a":' * 100_000,
    "yaml flow lists": b"[" * 100_000,
    "yaml flow objects": b"{a: " * 60_000,
    "yaml block lists": b"- " * 100_000,
    "yaml complex keys": b"? " * 100_000,
}
LARGE: dict[str, bytes] = {
    "integers": filled(HEAD, b"1,", b"1]}}]}", JSON_BYTES_MAX),
    "objects": filled(HEAD, b"{},", b"1]}}]}", JSON_BYTES_MAX),
    "texts": filled(HEAD, b'"",', b"1]}}]}", JSON_BYTES_MAX),
    "open braces": filled(HEAD + b'"', b"{{", b'"]}}]}', JSON_BYTES_MAX),
    "templates": filled(HEAD, b'"{{1}}",', b"1]}}]}", JSON_BYTES_MAX),
    "unknown fields": b"{" + b",".join(b'"f%d":1' % n for n in range(90_000)) + b"}",
    "equal keys": b"{" + b",".join(b'"f%d":1' % n for n in range(80_000)) + b',"f0":1}',
    "yaml scalars": filled(b"title: T\nsteps: [", b"1,", b"1]", YAML_BYTES_MAX),
    "yaml lists": filled(b"title: T\nsteps: [", b"[],", b"1]", YAML_BYTES_MAX),
}


def encoded(document: Any) -> bytes:
    return msgspec.json.encode(document)


LARGE |= {
    "expressions": encoded(
        dag(*(noop(f"s{n}", when="1 < 2", parameters={"x": f"{{{{ inputs.x + {n} }}}}"}) for n in range(1_000)))
    ),
    "unknown references": encoded(dag(*(noop(f"s{n}", when=f"steps.t{n}.status == 'x'") for n in range(1_000)))),
    "unknown upstream": encoded(dag(*(noop(f"s{n}", depends_on=[f"t{n}"]) for n in range(1_000)))),
    "one large circle": encoded(dag(*(noop(f"s{n}", depends_on=[f"s{(n + 1) % 1000}"]) for n in range(1_000)))),
    "dense order": encoded(
        dag(*(noop(f"s{n}", depends_on=[f"s{m}" for m in range(max(0, n - 100), n)]) for n in range(1_000)))
    ),
    "wrong elements": encoded(dag(step("a", "@text/join", separator="", items=[1] * 400_000))),
}


def slowest_ms(texts: dict[str, bytes]) -> tuple[float, str]:
    """Give the longest processor time of one text, and which."""
    cost = {}
    for name, text in texts.items():
        start = time.process_time()
        problem(text)
        cost[name] = (time.process_time() - start) * 1000
    return max((ms, name) for name, ms in cost.items())


def test_deep_texts_are_cut_within_milliseconds() -> None:
    problem(encoded(dag(noop("a", when="1 < 2"))))
    ms, name = slowest_ms(DEEP)
    assert figure("bad_input_deep_ms", round(ms, 1), f"< {DEEP_MS_MAX}", ms < DEEP_MS_MAX, worst=name)


def test_costliest_documents_are_judged_within_a_second() -> None:
    problem(encoded(dag(noop("a", when="1 < 2"))))
    ms, name = slowest_ms(LARGE)
    assert figure("bad_input_worst_ms", round(ms, 1), f"< {ANY_MS_MAX}", ms < ANY_MS_MAX, worst=name, n=len(LARGE))
