"""YAML text -> value: libyaml's event stream under the YAML 1.2 core schema.

Aliases, anchors, tags, equal keys, keys that are no text and second documents are refused on the events, and depth is
cut while reading: 10^5 levels cost milliseconds (libraries.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml._yaml import CParser

from core.dag.fault import below
from core.dag.position import Mark
from core.dag.syntax import DEPTH_MAX, INTEGER_MAX, INTEGER_MIN, SyntaxFault

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# YAML 1.2.2 section 10.3.2; every other plain scalar is text, so are `on`, `off`, `yes` and `no`.
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# What a plain scalar begins with that may be a number.
_NUMBER_STARTS = frozenset("+-.0123456789")
# No integer of 64 bits has more characters in any of the three notations (`0o` and 22 digits); zeros in front count.
_INTEGER_CHARACTERS_MAX = 64


def _events(text: str) -> Iterator[Any]:
    """Give libyaml's events but the last; each has `start_mark`."""
    parser = CParser(text)
    while not isinstance(event := parser.get_event(), yaml.StreamEndEvent):
        yield event


class _Container:
    """A list or object that is being read; `key` None = the next scalar is a key."""

    __slots__ = ("is_object", "key", "value")

    def __init__(self, value: Any, *, is_object: bool) -> None:
        self.value = value
        self.is_object = is_object
        self.key: str | None = None


def read_yaml(text: str) -> Any:
    """Decode a YAML text of one document.

    Raises:
        SyntaxFault: not YAML, or one of the things that this notation of a DAG leaves out (semantics.md S54).
    """
    return _Reader(text).read()


def yaml_marks(text: str) -> Iterator[Mark]:
    """Give the outline of a YAML text that `read_yaml` has decoded; places are (line, column)."""
    stack: list[str] = []
    expects_key = False
    for event in _events(text):
        at = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            yield ("key", event.value, at) if expects_key else ("scalar", "", at)
            expects_key = not expects_key and bool(stack) and stack[-1] == "{"
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            stack.append("{" if isinstance(event, yaml.MappingStartEvent) else "[")
            expects_key = stack[-1] == "{"
            yield stack[-1], "", at
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            expects_key = bool(stack) and stack[-1] == "{"
            yield "end", "", at


class _Reader:
    """One pass over the events; `stack` holds the open containers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[_Container] = []
        self._root: Any = None
        self._has_root = False

    def read(self) -> Any:
        try:
            for event in _events(self._text):
                self._take(event)
        except yaml.reader.ReaderError as error:
            _refuse_character(self._text, error)
        except yaml.MarkedYAMLError as error:
            mark: Any = error.problem_mark or error.context_mark
            raise SyntaxFault(f"not valid YAML: {error.problem}", line=mark.line + 1, column=mark.column + 1) from error
        if not self._has_root:
            raise SyntaxFault("the text holds no document", line=1, column=1)
        return self._root

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(event, [])
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, "aliases are not allowed")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._start_document(event)

    def _start_document(self, event: Any) -> None:
        if self._has_root:
            self._refuse(event, "a second document begins here; a DAG is one document")
        if event.version not in (None, (1, 2)):
            self._refuse(event, "the YAML version must be 1.2")
        if event.tags:
            self._refuse(event, "tags are not allowed")

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        if self._expects_key():
            self._refuse(event, "a key must be text")
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event)
        if len(self._stack) >= DEPTH_MAX:
            self._refuse(event, f"values are nested deeper than {DEPTH_MAX}", pointer="")
        self._store(value)
        self._stack.append(_Container(value, is_object=isinstance(value, dict)))

    def _take_scalar(self, event: Any) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event)
        if "\0" in event.value:
            self._refuse(event, "a text must not hold the null character")
        value = self._resolve(event) if event.implicit[0] else event.value
        if self._expects_key():
            self._take_key(event, value)
        else:
            self._store(value)

    def _take_key(self, event: Any, key: Any) -> None:
        top = self._stack[-1]
        if not isinstance(key, str):
            self._refuse(event, "a key must be text", hint=f'write "{event.value}"')
        if key in top.value:
            self._refuse(event, f"the key {key!r} stands twice", pointer=below(self._pointer(), key))
        top.key = key

    def _resolve(self, event: Any) -> Any:
        """Resolve a plain scalar by the core schema."""
        text: str = event.value
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text[0] not in _NUMBER_STARTS:
            return text
        if _INTEGER.fullmatch(text):
            number = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= _INTEGER_CHARACTERS_MAX else None
            if number is None or not INTEGER_MIN <= number <= INTEGER_MAX:
                self._refuse(event, "an integer must fit into 64 bits")
            return number
        if _NUMBER.fullmatch(text):
            if math.isinf(double := float(text)):
                self._refuse(event, "the number is out of range")
            return double
        if _NO_NUMBER.fullmatch(text):
            self._refuse(event, "infinity and not-a-number are no JSON values")
        return text

    def _refuse_decoration(self, event: Any) -> NoReturn:
        self._refuse(event, f"{'tags' if event.anchor is None else 'anchors'} are not allowed")

    def _expects_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_object and self._stack[-1].key is None

    def _pointer(self) -> str:
        """Give the pointer of the value that begins now; of its object, while a key is read."""
        pointer = ""
        for container in self._stack[:-1]:
            name = container.key if container.is_object else len(container.value) - 1
            pointer = below(pointer, name)
        for top in self._stack[-1:]:
            if not top.is_object:
                pointer = below(pointer, len(top.value))
            elif top.key is not None:
                pointer = below(pointer, top.key)
        return pointer

    def _store(self, value: Any) -> None:
        """Put a value where it belongs; a container is put there before it is filled."""
        if not self._stack:
            self._root, self._has_root = value, True
            return
        top = self._stack[-1]
        if top.is_object:
            top.value[top.key] = value
            if not isinstance(value, dict | list):
                top.key = None
        else:
            top.value.append(value)

    def _close(self) -> None:
        self._stack.pop()
        if self._stack:
            self._stack[-1].key = None

    def _refuse(self, event: Any, message: str, *, pointer: str | None = None, hint: str = "") -> NoReturn:
        mark = event.start_mark
        at = self._pointer() if pointer is None else pointer
        raise SyntaxFault(message, line=mark.line + 1, column=mark.column + 1, pointer=at, hint=hint)


def _refuse_character(text: str, error: yaml.reader.ReaderError) -> NoReturn:
    before = text.encode()[: error.position].decode(errors="ignore")
    line = before.count("\n") + 1
    raise SyntaxFault(f"not valid YAML: {error.reason}", line=line, column=len(before) - before.rfind("\n")) from error
