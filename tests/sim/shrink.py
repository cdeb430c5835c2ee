"""A failing seed made small: faults are turned off by halves, sizes are halved, while it still fails in the same way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any, get_type_hints

import msgspec

from core.ports.instance_store import CommitBounds
from tests.sim.options import Options, options_of

TRIES_MAX = 150  # runs of the seed in all; the longest take seconds
FAULTS = (
    "kill", "pause", "drain", "cut", "outage", "full", "clock", "sweep", "restart_to_heal", "zombie", "unavailable",
    "unknown", "refused", "slow", "failing", "hanging", "stubborn", "duplicate", "cancel", "terminate", "keyless",
    "objects_unavailable", "large", "skew_s", "at_once", "held", "rerun",
    "calls",
)  # fmt: skip
SIZES = ("node_count", "instance_count", "client_count", "dag_count", "shard_count", "storm_s")
SIZE_MIN = 1
ROOMY: dict[str, Any] = {
    "bounds": CommitBounds(256, 1_048_576, 500, "many"),
    "attempts_max": 512,
    "hot_instances_max": 1000,
    "store_delay_s": 0.005,
    "retries_per_s": 10.0,
    "grace_s": 25.0,
}
_RULE = re.compile(r"\b(?:[IRM]\d+|ADR \d{4})\b")

Failure = str | None
Run = Callable[[Options], Failure]


def failure_of(fault: BaseException) -> str:
    """Say in which way a seed failed: the exception, and the first rule that its message names."""
    rule = _RULE.search(str(fault))
    return type(fault).__name__ + ("" if rule is None else f" {rule.group()}")


class Shrinker:
    """Tries smaller options.

    Args:
        run: runs options; gives how they failed, None = they passed.
    """

    def __init__(self, options: Options, run: Run) -> None:
        self.smallest = options
        self.tries_count = 0
        self.wanted = run(options)
        self._run = run

    def shrink(self) -> Options:
        """Give the smallest options found that fail like those given; those given when they do not fail."""
        if self.wanted is not None:
            self._turn_off([name for name in FAULTS if getattr(self.smallest, name)])
            for name, value in ROOMY.items():
                self._try({name: value})
            for name in SIZES:
                self._halve(name)
        return self.smallest

    def _turn_off(self, names: list[str]) -> None:
        width = (len(names) + 1) // 2
        while width and names:
            kept = list(names)
            for start in range(0, len(names), width):
                part = names[start : start + width]
                if self._try({name: type(getattr(self.smallest, name))() for name in part}):
                    kept = [name for name in kept if name not in part]
            width = width // 2 if width > 1 or len(kept) == len(names) else 1
            names = kept

    def _halve(self, name: str) -> None:
        while True:
            value = getattr(self.smallest, name)
            smaller = value // 2 if isinstance(value, int) else value / 2
            if smaller < SIZE_MIN or not self._try({name: smaller}):
                return

    def _try(self, changes: dict[str, Any]) -> bool:
        """Keep changes under which the seed still fails in the same way."""
        tried = msgspec.structs.replace(self.smallest, **changes)
        if tried == self.smallest or self.tries_count >= TRIES_MAX:
            return False
        self.tries_count += 1
        if self._run(tried) != self.wanted:
            return False
        self.smallest = tried
        return True


def written(options: Options) -> str:
    """Write what differs from the seed's own options, as `--with` reads it."""
    own = options_of(options.seed)
    names = [name for name in options.__struct_fields__ if getattr(options, name) != getattr(own, name)]
    told = (f"{name}={msgspec.json.encode(getattr(options, name)).decode()}" for name in names)
    return " ".join(shlex.quote(text) for text in told)


def read(seed: int, texts: Iterable[str]) -> Options:
    """Read options that differ from the seed's own, each `name=<JSON>`.

    Raises:
        ValueError: there is no such option, or the value is none of it.
    """
    types, changes = get_type_hints(Options), {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in types:
            raise ValueError(f"no option is called {name!r}")
        changes[name] = msgspec.json.decode(value, type=types[name])
    return msgspec.structs.replace(options_of(seed), **changes)
