"""Faults of a document: collected all at once, placed at the end (semantics.md S54)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

# A document of 1 MiB can hold 10^5 faults; nobody reads more, and an answer stays below 1 MiB.
FAULTS_COUNT_MAX = 1_000
# Proposals per document: looking for one costs some 5 us per name, and a hundred of them are one mistake.
HINTS_COUNT_MAX = 50
# Names that all proposals of a document are chosen from: 1 ms for a thousand.
HINT_NAMES_COUNT_MAX = 10_000
# Below this likeness a proposal is noise (difflib's ratio; 0.6 is its own default).
HINT_LIKENESS_MIN = 0.6
# Values quoted in a message are cut: a message is a sentence, not a copy of the document.
QUOTE_CHARACTERS_MAX = 60


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault. `is_at_key`: the place is the name of the field, not its value (an unknown field)."""

    code: str
    pointer: str
    message: str
    hint: str = ""
    allowed: tuple[Any, ...] = ()
    line: int = 0
    column: int = 0
    is_at_key: bool = False


class Faults:
    """A collector: keeps the first `FAULTS_COUNT_MAX` different faults and knows which parts have one."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self._seen: set[tuple[str, str, str]] = set()
        self._tainted: set[str] = set()
        self._hints_left = HINTS_COUNT_MAX
        self._hint_names_left = HINT_NAMES_COUNT_MAX

    def add(
        self,
        code: str,
        pointer: str,
        message: str,
        *,
        hint: str = "",
        allowed: Sequence[Any] = (),
        is_at_key: bool = False,
    ) -> None:
        """Add one fault; an equal one is kept once, and beyond `FAULTS_COUNT_MAX` only its place is remembered."""
        key = (code, pointer, message)
        if key not in self._seen and len(self.found) < FAULTS_COUNT_MAX:
            self._seen.add(key)
            fault = Fault(
                code=code, pointer=pointer, message=message, hint=hint, allowed=tuple(allowed), is_at_key=is_at_key
            )
            self.found.append(fault)
        self.taint(pointer)

    def taint(self, pointer: str) -> None:
        """Remember that a fault stands at a pointer."""
        while pointer not in self._tainted:
            self._tainted.add(pointer)
            pointer = pointer.rpartition("/")[0]

    @property
    def is_full(self) -> bool:
        """Whether the next fault would be dropped: then its sentence need not be made."""
        return len(self.found) >= FAULTS_COUNT_MAX

    def near(self, name: str, known: Iterable[str]) -> str:
        """Give `did_you_mean` for the first `HINTS_COUNT_MAX` names, an empty text for the others."""
        names = self.candidates(known)
        return did_you_mean(name, names) if names else ""

    def candidates(self, known: Iterable[str]) -> Sequence[str]:
        """Give the names to propose one of; none when the document had its proposals."""
        if self._hints_left <= 0:
            return ()
        self._hints_left -= 1
        names = list(dict.fromkeys(islice(known, self._hint_names_left)))
        self._hint_names_left -= len(names)
        return names

    def has_within(self, pointer: str) -> bool:
        """Say whether a fault stands at this pointer or below it."""
        return pointer in self._tainted

    def __bool__(self) -> bool:
        return bool(self.found)


def below(pointer: str, name: object) -> str:
    """Extend a JSON pointer by one name or index (RFC 6901)."""
    if isinstance(name, int):
        return f"{pointer}/{name}"
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def names_of(pointer: str) -> list[str]:
    """Split a JSON pointer into its names (RFC 6901)."""
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Give a sentence that proposes the closest known name, or an empty text."""
    close = difflib.get_close_matches(name[:QUOTE_CHARACTERS_MAX], known, 1, HINT_LIKENESS_MIN)
    return f"did you mean {close[0]}?" if close else ""


def quoted(value: object) -> str:
    """Show a JSON value in a message, cut to `QUOTE_CHARACTERS_MAX`."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= QUOTE_CHARACTERS_MAX else text[: QUOTE_CHARACTERS_MAX - 1] + "…"


def as_document(faults: Iterable[Fault]) -> list[Mapping[str, Any]]:
    """Give placed faults as they stand in a problem document: hints and choices only where there are some."""
    shown: list[Mapping[str, Any]] = []
    for fault in faults:
        entry: dict[str, Any] = {"code": fault.code, "pointer": fault.pointer, "message": fault.message}
        if fault.hint:
            entry["hint"] = fault.hint
        if fault.allowed:
            entry["allowed"] = list(fault.allowed)
        entry["line"], entry["column"] = fault.line, fault.column
        shown.append(entry)
    return shown
