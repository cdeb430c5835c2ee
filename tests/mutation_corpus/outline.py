"""Steps of a raw document with their places: what a mutation chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

CONTROL = ("@control/", "@data/define", "@data/assign")


class Spot(msgspec.Struct, frozen=True):
    """One step: the raw object, its pointer, the list that holds it and its place there."""

    step: dict[str, Any]
    pointer: str
    siblings: list[dict[str, Any]]
    place: int
    depth: int

    @property
    def is_control(self) -> bool:
        return str(self.step["operator"]).startswith(CONTROL)

    def before(self) -> set[int]:
        """Give the places in this list of all steps that have ended when this one starts."""
        ids = {step["id"]: place for place, step in enumerate(self.siblings)}
        found: set[int] = set()
        waiting = [self.place]
        while waiting:
            for place in self._waited(waiting.pop(), ids):
                if place not in found:
                    found.add(place)
                    waiting.append(place)
        return found

    def _waited(self, place: int, ids: dict[str, int]) -> list[int]:
        named = self.siblings[place].get("depends_on")
        if named is None:
            return [place - 1] if place else []
        return [ids[name] for name in named]

    def sibling_pointer(self, place: int) -> str:
        return f"{self.pointer.rpartition('/')[0]}/{place}"


def spots(document: dict[str, Any]) -> list[Spot]:
    """Give every step in the order of the text."""
    return list(_spots(document["steps"], "/steps", 0))


def _spots(steps: list[dict[str, Any]], at: str, depth: int) -> Iterator[Spot]:
    for place, step in enumerate(steps):
        pointer = f"{at}/{place}"
        yield Spot(step, pointer, steps, place, depth)
        parameters = step.get("parameters", {})
        if str(step["operator"]).startswith("@control/"):
            for number, branch in enumerate(parameters.get("branches", ())):
                yield from _spots(branch["steps"], f"{pointer}/parameters/branches/{number}/steps", depth + 1)
            for name in ("else", "steps"):
                if name in parameters:
                    yield from _spots(parameters[name], f"{pointer}/parameters/{name}", depth + 1)
        if isinstance(step.get("on_error"), list):
            yield from _spots(step["on_error"], f"{pointer}/on_error", depth + 1)
