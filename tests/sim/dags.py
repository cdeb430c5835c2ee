"""Generated DAGs: chains, fans, branches, maps, loops and tries within each other, handled errors, hooks, retries,
timeouts, returns, pure steps.
"""

from __future__ import annotations

import json
from typing import Any

from tests.sim.chance import Random

JOINS = ("all_succeeded", "none_failed", "any_succeeded", "all_done")
CONTAINERS = ("@control/map", "@control/branch", "@control/parallel", "@control/loop", "@control/try")
SIGNALS = ("paid", "{{ inputs.n > 4 ? 'paid' : 'sent' }}")  # names that waits draw; clients send the texts in them
KEEPING = frozenset({"@sim/work", "@data/transform", "@text/split"})  # steps that may have `cache`
ON_LIMIT = ("queue", "queue", "skip", "cancel_running", "reject")
DEPTH_MAX = 3
STEPS_MAX = 16
Doc = dict[str, Any]


class _Builder:
    """Draws one document; ids are counted through, so they are unique in it."""

    def __init__(self, rng: Random, *, once: bool) -> None:
        self._rng = rng
        self._once = once
        self._count = 0

    def document(self, title: str) -> Doc:
        steps = self._list(0, self._rng.randint(1, 6))
        made: Doc = {
            "title": title,
            "inputs": {
                "type": "object",
                "properties": {
                    "n": {"type": "integer", "default": 3},
                    "items": {"type": "array", "items": {"type": "integer"}, "default": [1, 2, 3]},
                    "text": {"type": "string", "default": "abc"},
                },
            },
            "steps": steps,
        }
        if self._rng.random() < 0.5:
            made["outputs"] = {"n": "{{ inputs.n + 1 }}", "first": "{{ steps." + steps[0]["id"] + ".status }}"}
        if self._rng.random() < 0.15:
            made["settings"] = {"timeout_s": round(self._rng.uniform(0.5, 6.0), 2)}
        for hook in ("on_failure", "on_finish"):
            if self._rng.random() < 0.2:
                made.setdefault("settings", {})[hook] = self._clean_up("{{ instance.outcome }}")
        return made

    def _clean_up(self, value: str) -> list[Doc]:
        """Draw a list that must end by itself: of work alone, which may fail."""
        steps = [self._work() for _ in range(self._rng.randint(1, 2))]
        steps[0]["parameters"]["value"] = value
        return steps

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _list(self, depth: int, count: int) -> list[Doc]:
        steps: list[Doc] = []
        for _ in range(count):
            if self._count >= STEPS_MAX:
                break
            steps.append(self._step(depth, [step["id"] for step in steps]))
        return steps or [self._work()]

    def _step(self, depth: int, earlier: list[str]) -> Doc:
        draw = self._rng.random()
        if depth < DEPTH_MAX and draw < 0.24:
            step = self._container(depth)
        elif draw < 0.36:
            step = self._pure()
        elif draw < 0.4:
            step = self._wait()
        elif draw < 0.43:
            result = self._rng.choice(("success", "failed"))
            step = {"id": self._id("r"), "operator": "@control/return", "parameters": {"result": result}}
            step["when"] = self._condition()
        else:
            step = self._work()
        self._wire(step, earlier)
        return step

    def _wire(self, step: Doc, earlier: list[str]) -> None:
        rng = self._rng
        if earlier and rng.random() < 0.55:
            step["depends_on"] = sorted(rng.sample(earlier, rng.randint(0, min(3, len(earlier)))))
        if earlier and rng.random() < 0.5:
            step["join"] = rng.choice(JOINS)
        if "when" not in step and rng.random() < 0.15:
            step["when"] = self._condition()
        if step["operator"] == "@control/return":
            return
        if step["operator"] in CONTAINERS and rng.random() < 0.2:
            step["timeout"] = {"total_s": round(rng.uniform(0.05, 2.5), 2)}
        draw = rng.random()
        if draw < 0.25:
            step["on_error"] = "continue"
        elif draw < 0.35 and self._count < STEPS_MAX:
            step["on_error"] = self._list(DEPTH_MAX, rng.randint(1, 2))

    def _condition(self) -> str:
        return self._rng.choice(("inputs.n > 2", "inputs.n > 7", "true", "false", "size(inputs.items) > 0"))

    def _work(self) -> Doc:
        rng = self._rng
        parameters: Doc = {"ms": rng.choice((0, 0, 1, 5, 20, 100, 400))}
        if rng.random() < 0.4:
            parameters["fails"] = rng.randint(1, 5)
            parameters["kind"] = rng.choice(("failed", "unavailable", "timeout", "invalid"))
        if rng.random() < 0.1:
            parameters["stubborn"] = True
        if rng.random() < 0.15:
            parameters["size"] = rng.choice((10, 5_000, 300_000))
        if rng.random() < 0.4:
            parameters["value"] = rng.choice(("{{ inputs.n }}", "{{ inputs.items }}", "{{ inputs.text }}!"))
        step: Doc = {"id": self._id("w"), "operator": "@sim/work", "parameters": parameters}
        if self._once and rng.random() < 0.2:
            step["at_most_once"] = True
        elif rng.random() < 0.35:
            step["retry"] = {
                "max_attempts": rng.randint(1, 6),
                "delay_s": round(rng.uniform(0.01, 1.0), 2),
                "max_delay_s": 2,
                "jitter": rng.choice(("none", "full")),
            }
        if rng.random() < 0.3:
            step["timeout"] = self._timeout()
            if "attempt_s" in step["timeout"] and rng.random() < 0.5:
                parameters["hangs"] = rng.randint(1, 2)
        return step

    def _timeout(self) -> Doc:
        name = self._rng.choice(("attempt_s", "total_s", "queue_s", "total_s"))
        return {name: round(self._rng.uniform(0.05, 2.5), 2)}

    def _pure(self) -> Doc:
        draw = self._rng.randrange(3)
        if draw == 0:
            parameters: Doc = {"items": "{{ inputs.items }}", "filter": "item > 1", "map": "item * 2"}
            return {"id": self._id("t"), "operator": "@data/transform", "parameters": parameters}
        if draw == 1:
            parameters = {"text": "{{ inputs.text }}", "separator": "b"}
            return {"id": self._id("s"), "operator": "@text/split", "parameters": parameters}
        parameters = {"name": self._id("v"), "value": "{{ inputs.n + 1 }}"}
        return {"id": self._id("d"), "operator": "@data/define", "parameters": parameters}

    def _wait(self) -> Doc:
        draw = self._rng.random()
        if draw < 0.3:
            return {"id": self._id("z"), "operator": "@control/wait", "parameters": {"event": self._event()}}
        if draw < 0.45:
            asked = {"title": "Really {{ inputs.n }}?", "timeout_s": round(self._rng.uniform(0.2, 6.0), 2)}
            asked["on_timeout"] = self._rng.choice(("fail", "approve", "reject"))
            return {"id": self._id("z"), "operator": "@control/approval", "parameters": asked}
        if draw < 0.6:
            callback = {"timeout_s": round(self._rng.uniform(0.2, 6.0), 2)}
            return {"id": self._id("z"), "operator": "@control/wait", "parameters": {"callback": callback}}
        seconds = self._rng.choice((0, 0.05, 0.5, 2, "{{ inputs.n }}"))
        return {"id": self._id("z"), "operator": "@control/wait", "parameters": {"seconds": seconds}}

    def _event(self) -> Doc:
        """Draw what a wait takes; nobody may ever send it, so every such wait has an end."""
        event: Doc = {"name": self._rng.choice(SIGNALS), "timeout_s": round(self._rng.uniform(0.2, 6.0), 2)}
        if self._rng.random() < 0.4:
            event["filter"] = self._rng.choice(("event.data.n > 1", "event.data.n == inputs.n", "event.data > 0"))
        return event

    def _container(self, depth: int) -> Doc:
        rng = self._rng
        draw = rng.random()
        if draw < 0.3:
            return self._map(depth)
        if draw < 0.5:
            return self._loop(depth)
        if draw < 0.7:
            return self._try(depth)
        name = self._id("c")
        branches: list[Doc] = [
            {"id": f"b{number}", "steps": self._list(depth + 1, rng.randint(1, 3))}
            for number in range(rng.randint(1, 3))
        ]
        if draw < 0.85:
            return {"id": name, "operator": "@control/parallel", "parameters": {"branches": branches}}
        for branch in branches:
            branch["when"] = self._condition()
        parameters: Doc = {"mode": rng.choice(("first", "all")), "branches": branches}
        if rng.random() < 0.5:
            parameters["else"] = self._list(depth + 1, 1)
        return {"id": name, "operator": "@control/branch", "parameters": parameters}

    def _map(self, depth: int) -> Doc:
        rng = self._rng
        name = self._id("m")
        parameters: Doc = {"items": "{{ inputs.items }}", "steps": self._list(depth + 1, rng.randint(1, 3))}
        if rng.random() < 0.5:
            parameters["max_concurrency"] = rng.randint(1, 4)
        if rng.random() < 0.2:
            parameters["batch_size"] = rng.randint(1, 3)
        if rng.random() < 0.6:
            parameters["on_item_error"] = rng.choice(("fail", "collect", "ignore"))
        return {"id": name, "operator": "@control/map", "parameters": parameters}

    def _loop(self, depth: int) -> Doc:
        rng = self._rng
        name = self._id("l")
        mode = rng.choice(("count", "while", "each"))  # what breaks them comes sooner or later than their own end
        parameters: Doc = {"mode": mode, "steps": self._list(depth + 1, rng.randint(1, 2))}
        if mode == "count":
            parameters["limit"] = rng.choice((0, 1, 2, "{{ inputs.n }}"))
        elif mode == "while":
            parameters["condition"] = f"index < {rng.randint(0, 3)}"
        else:
            parameters["items"] = "{{ inputs.items }}"
        if rng.random() < 0.3:
            parameters["outputs"] = {"number": "{{ index }}", "before": "{{ loops." + name + ".last }}"}
        if rng.random() < 0.6:
            parameters["break_when"] = f"index == {rng.randint(0, 2)}"
        if rng.random() < 0.2:
            parameters["max_iterations"] = rng.randint(1, 3)
        return {"id": name, "operator": "@control/loop", "parameters": parameters}

    def _try(self, depth: int) -> Doc:
        rng = self._rng
        name = self._id("y")
        parameters: Doc = {"steps": self._list(depth + 1, rng.randint(1, 3))}
        first = parameters["steps"][0]["id"]
        draw = rng.random()
        if draw < 0.7:
            parameters["catch"] = self._clean_up("{{ error.message }}")
        if draw > 0.4:
            parameters["finally"] = self._clean_up("{{ steps." + first + ".status }}")
        return {"id": name, "operator": "@control/try", "parameters": parameters}


def generated(rng: Random, title: str, *, once: bool = False) -> Doc:
    """Draw one valid DAG document over `@sim/work` and pure operators.

    `once`: some steps must not be called twice; somebody has to settle them when their outcome is lost.
    """
    document = _Builder(rng, once=once).document(title)
    _keep_outputs(rng, document)
    _limit(rng, document)
    return document


def other_version(rng: Random, document: Doc) -> Doc | None:
    """Give the document with other limits, as its next version; None when it has none to change."""
    changed: Doc = json.loads(json.dumps(document))
    if not _change_limits(rng, changed):
        return None
    changed["change_log"] = "other limits"
    return changed


def _change_limits(rng: Random, within: Any) -> bool:
    found = False
    if isinstance(within, dict):
        if "concurrency" in within:
            within["concurrency"]["max"] = rng.choice((1, 2, 3, 5))
            found = True
        within = list(within.values())
    if isinstance(within, list):
        for one in within:
            found |= _change_limits(rng, one)
    return found


def _limit(rng: Random, document: Doc) -> None:
    """Let some DAGs, and steps at any depth of others, run only so often at once; drawn last of all."""
    if rng.random() < 0.3:
        limit: Doc = {"max": rng.choice((1, 2, 3)), "on_limit": rng.choice(ON_LIMIT)}
        if rng.random() < 0.5:
            limit["key"] = "n is {{ inputs.n % 2 }}"
        document.setdefault("settings", {})["concurrency"] = limit
    if rng.random() < 0.3:
        _limit_steps(rng, document)


def _limit_steps(rng: Random, within: Any) -> None:
    if isinstance(within, list):
        for one in within:
            _limit_steps(rng, one)
    elif isinstance(within, dict):
        if within.get("operator") == "@sim/work" and rng.random() < 0.4:
            within["concurrency"] = {"max": rng.choice((1, 2, 3))}
            if rng.random() < 0.6:
                within["concurrency"]["key"] = rng.choice(("shared", "n is {{ inputs.n % 2 }}"))
        for one in within.values():
            _limit_steps(rng, one)


def _keep_outputs(rng: Random, within: Any) -> None:
    """Let some steps, at any depth, use outputs again that they had before; drawn last, so that the rest stays as it is."""
    if isinstance(within, list):
        for one in within:
            _keep_outputs(rng, one)
    elif isinstance(within, dict):
        if within.get("operator") in KEEPING and rng.random() < 0.15:
            within["cache"] = {"ttl_s": rng.choice((1, 30, 3600))}
            if rng.random() < 0.3:
                within["cache"]["key"] = "n is {{ inputs.n }}"
        for one in within.values():
            _keep_outputs(rng, one)


def with_calls(rng: Random, document: Doc, titles: list[str]) -> None:
    """Append calls of these DAGs to one to three of the document's lists."""
    lists = _lists(document["steps"])
    for number in range(rng.randint(1, 3)):
        rng.choice(lists).append(_call(rng, f"x{number}", titles))


def _lists(steps: list[Doc]) -> list[list[Doc]]:
    """Give a list and those nested in its containers."""
    found = [steps]
    for step in steps:
        if step["operator"] in CONTAINERS:
            given = step["parameters"]
            nested = [given.get("steps"), given.get("catch"), given.get("else")]
            nested += [branch["steps"] for branch in given.get("branches", ())]
            found += [inner for one in nested if one for inner in _lists(one)]
    return found


def _call(rng: Random, name: str, titles: list[str]) -> Doc:
    parameters: Doc = {"dag": rng.choice(titles), "inputs": {"n": "{{ inputs.n }}", "items": [1, 2]}}
    if rng.random() < 0.15:
        parameters["wait"] = False
    if rng.random() < 0.25:
        parameters["on_cancel"] = "leave"
    step: Doc = {"id": name, "operator": "@control/call", "parameters": parameters}
    if rng.random() < 0.4:
        step["depends_on"] = []
    if rng.random() < 0.3:
        step["timeout"] = {"total_s": round(rng.uniform(0.1, 4.0), 2)}
    if rng.random() < 0.5:
        step["on_error"] = "continue"
    return step
