"""Documents that cost the most processor time for their length, at most the limits of their notations."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.document import JSON_BYTES_MAX, YAML_BYTES_MAX
from tests.dags.check import dag, noop, step


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
COSTLY: dict[str, bytes] = {
    "integers": filled(HEAD, b"1,", b"1]}}]}", JSON_BYTES_MAX),
    "objects": filled(HEAD, b"{},", b"1]}}]}", JSON_BYTES_MAX),
    "texts": filled(HEAD, b'"",', b"1]}}]}", JSON_BYTES_MAX),
    "open braces": filled(HEAD + b'"', b"{{", b'"]}}]}', JSON_BYTES_MAX),
    "a text cut off after escaped quotes": filled(b'{"a": "', b'\\"', b"", JSON_BYTES_MAX),
    "lists in lists": filled(HEAD, b"[[1]],", b"1]}}]}", JSON_BYTES_MAX),
    "templates in objects": filled(HEAD, b'{"a":"{{1}}"},', b"1]}}]}", JSON_BYTES_MAX),
    "steps without end": filled(b'{"title": "T", "steps": [', b"{},", b"{}]}", JSON_BYTES_MAX),
    "steps in steps": filled(b'{"title": "T", "steps": [', b'{"a":{"b":{"c":{}}}},', b"{}]}", JSON_BYTES_MAX),
    "a large array of a wrong element": filled(
        b'{"title": "T", "steps": [{"id": "a", "operator": "@text/join", "parameters": {"separator": "", "items": [',
        b'"",',
        b"1]}}]}",
        JSON_BYTES_MAX,
    ),
    "templates": filled(HEAD, b'"{{1}}",', b"1]}}]}", JSON_BYTES_MAX),
    "unknown fields": b"{" + b",".join(b'"f%d":1' % n for n in range(90_000)) + b"}",
    "equal keys": b"{" + b",".join(b'"f%d":1' % n for n in range(80_000)) + b',"f0":1}',
    "yaml scalars": filled(b"title: T\nsteps: [", b"1,", b"1]", YAML_BYTES_MAX),
    "yaml lists": filled(b"title: T\nsteps: [", b"[],", b"1]", YAML_BYTES_MAX),
}


def encoded(document: Any) -> bytes:
    return msgspec.json.encode(document)


COSTLY |= {
    "expressions": encoded(
        dag(*(noop(f"s{n}", when="1 < 2", parameters={"x": f"{{{{ inputs.x + {n} }}}}"}) for n in range(1_000)))
    ),
    "unknown references": encoded(dag(*(noop(f"s{n}", when=f"steps.t{n}.status == 'x'") for n in range(1_000)))),
    "unknown upstream": encoded(dag(*(noop(f"s{n}", depends_on=[f"t{n}"]) for n in range(1_000)))),
    "one large circle": encoded(dag(*(noop(f"s{n}", depends_on=[f"s{(n + 1) % 1000}"]) for n in range(1_000)))),
    "many circles": encoded(
        dag(*(noop(f"s{n}", depends_on=[f"s{(n + m) % 1000}" for m in range(1, 101)]) for n in range(1_000)))
    ),
    "order against the text": encoded(
        dag(*(noop(f"s{n}", depends_on=[f"s{m}" for m in range(n + 1, min(1_000, n + 101))]) for n in range(1_000)))
    ),
    "one upstream named a hundred times": encoded(dag(*(noop(f"s{n}", depends_on=["s0"] * 100) for n in range(1_000)))),
    "sums in every step": encoded(
        dag(*(noop(f"s{n}", parameters={"x": [f"{{{{1+{n}+{m}}}}}" for m in range(40)]}) for n in range(1_000)))
    ),
    "one long sum in every step": encoded(
        dag(*(noop(f"s{n}", parameters={"x": "{{" + "1+" * 400 + f"{n}}}}}"}) for n in range(1_000)))
    ),
    "dense order": encoded(
        dag(*(noop(f"s{n}", depends_on=[f"s{m}" for m in range(max(0, n - 100), n)]) for n in range(1_000)))
    ),
    "wrong elements": encoded(dag(step("a", "@text/join", separator="", items=[1] * 400_000))),
}

FULL_OF_EXPRESSIONS = {
    name: COSTLY[name]
    for name in ("expressions", "unknown references", "sums in every step", "one long sum in every step")
}
PLAIN = {name: text for name, text in COSTLY.items() if name not in FULL_OF_EXPRESSIONS}
