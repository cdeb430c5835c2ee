"""Templates: JSON values whose texts hold `{{ expression }}` (semantics.md S35, S36). Keys are never rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from core.expression.syntax import ExpressionSyntaxError, parse_expression
from core.expression.tree import Node

Json: TypeAlias = Any

OPEN: Final = "{{"
CLOSE: Final = "}}"
# Expressions in one template: a save parses each, at about 0.2 ms.
EXPRESSION_COUNT_MAX: Final = 1000
# Deepest value that is searched for expressions: documents are cut at 64.
TEMPLATE_DEPTH_MAX: Final = 64
_QUOTES: Final = frozenset("\"'`")


class TemplateFault(msgspec.Struct, frozen=True):
    """One fault of a template.

    Args:
        pointer: JSON pointer of the text within the template.
        offset: characters from the start of that text.
        message: what is wrong.
        code: as in semantics.md S54.
    """

    pointer: str
    offset: int
    message: str
    code: str


class TemplateSyntaxErrors(Exception):
    """A template cannot be read; `faults` holds every fault, in the order of the document."""

    def __init__(self, faults: tuple[TemplateFault, ...]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.message}" for fault in faults))
        self.faults = faults


class TemplateExpression(msgspec.Struct, frozen=True):
    """One expression of a template.

    Args:
        pointer: JSON pointer of its text within the template.
        node: its tree.
        whole: it is the whole text, so its value keeps its type.
        offset: where it starts in the text, in characters; offsets of nodes count from there.
    """

    pointer: str
    node: Node
    whole: bool
    offset: int


class Whole(msgspec.Struct, frozen=True):
    """A text that is one expression; `text` as it was written."""

    expression: TemplateExpression
    text: str


class Mixed(msgspec.Struct, frozen=True):
    """A text with expressions in it; `text` as it was written."""

    parts: tuple[str | TemplateExpression, ...]
    text: str


class Items(msgspec.Struct, frozen=True):
    """A list in which something is rendered."""

    items: tuple[Part, ...]


class Entries(msgspec.Struct, frozen=True):
    """A map in which something is rendered."""

    entries: tuple[tuple[str, Part], ...]


class Constant(msgspec.Struct, frozen=True):
    """A value in which nothing is rendered."""

    value: Json


Part: TypeAlias = Constant | Whole | Mixed | Items | Entries


class Template(msgspec.Struct, frozen=True):
    """A parsed template.

    Args:
        root: the tree of its parts.
        expressions: every expression, in the order of the document.
    """

    root: Part
    expressions: tuple[TemplateExpression, ...]

    @property
    def is_constant(self) -> bool:
        """Whether nothing is rendered."""
        return not self.expressions


def parse_template(value: Json, is_literal: Callable[[str], bool] = lambda _: False) -> Template:
    """Find and read the expressions in a JSON value.

    Args:
        value: any JSON; in texts, `{{` opens an expression that ends at the first `}}` outside of quotes and braces.
        is_literal: says of the pointer of a text with `{{` in it that it stays as it is.

    Raises:
        TemplateSyntaxErrors: one or more expressions cannot be read, or there are more than `EXPRESSION_COUNT_MAX`.
    """
    reader = _Reader(is_literal)
    root = reader.read(value, "", 0)
    if reader.faults:
        raise TemplateSyntaxErrors(tuple(reader.faults))
    return Template(root, tuple(reader.expressions))


class _Reader:
    """Collects expressions and faults of one template."""

    def __init__(self, is_literal: Callable[[str], bool]) -> None:
        self._is_literal = is_literal
        self.expressions: list[TemplateExpression] = []
        self.faults: list[TemplateFault] = []

    def read(self, value: Json, pointer: str, depth: int) -> Part:
        if isinstance(value, str):
            is_plain = OPEN not in value or self._is_literal(pointer)
            return Constant(value) if is_plain else self._read_text(value, pointer)
        if not isinstance(value, (list, dict)):
            return Constant(value)
        if depth > TEMPLATE_DEPTH_MAX:
            self._refuse(pointer, 0, f"a template is nested at most {TEMPLATE_DEPTH_MAX} levels deep", "dag.limit")
            return Constant(None)
        if isinstance(value, list):
            items = tuple(self.read(item, f"{pointer}/{n}", depth + 1) for n, item in enumerate(value))
            return Constant(value) if all(isinstance(item, Constant) for item in items) else Items(items)
        entries = tuple((key, self.read(item, f"{pointer}/{escape(key)}", depth + 1)) for key, item in value.items())
        return Constant(value) if all(isinstance(item, Constant) for _, item in entries) else Entries(entries)

    def _refuse(self, pointer: str, offset: int, message: str, code: str = "dag.expression.syntax") -> None:
        self.faults.append(TemplateFault(pointer, offset, message, code))

    def _read_text(self, text: str, pointer: str) -> Part:
        parts: list[str | TemplateExpression] = []
        spans = self._spans(text, pointer)
        is_whole = len(spans) == 1 and not (text[: spans[0][0]].strip() or text[spans[0][1] :].strip())
        end = 0
        for start, stop in spans:
            expression = self._read_expression(text[start + 2 : stop - 2], pointer, start + 2, whole=is_whole)
            if expression is not None:
                parts += (text[end:start], expression)
            end = stop
        if is_whole and parts:
            return Whole(self.expressions[-1], text)
        parts.append(text[end:])
        return Mixed(tuple(part for part in parts if part != ""), text)

    def _spans(self, text: str, pointer: str) -> list[tuple[int, int]]:
        """Give start and end of every `{{ ... }}`, stopping at one that is not closed."""
        spans: list[tuple[int, int]] = []
        start = text.find(OPEN)
        while start >= 0:
            stop = end_of(text, start + len(OPEN))
            if stop is None:
                self._refuse(pointer, start, '`{{` is not closed by `}}`; a literal `{{` is written {{ "{{" }}')
                break
            spans.append((start, stop))
            start = text.find(OPEN, stop)
        return spans

    def _read_expression(self, text: str, pointer: str, offset: int, *, whole: bool) -> TemplateExpression | None:
        if len(self.expressions) >= EXPRESSION_COUNT_MAX:
            self._refuse(pointer, offset, f"a template has at most {EXPRESSION_COUNT_MAX} expressions", "dag.limit")
            return None
        lead = len(text) - len(text.lstrip())
        if not text.strip():
            self._refuse(pointer, offset, "an expression stands between `{{` and `}}`")
            return None
        try:
            node = parse_expression(text.strip())
        except ExpressionSyntaxError as error:
            self._refuse(pointer, offset + lead + error.offset, error.message, error.code)
            return None
        expression = TemplateExpression(pointer, node, whole, offset + lead)
        self.expressions.append(expression)
        return expression


def escape(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def end_of(text: str, start: int) -> int | None:
    """Find where an expression ends: behind the first `}}` that stands outside of quotes and braces.

    Args:
        text: the template's text.
        start: behind the `{{`.

    Returns:
        The position behind the `}}`, None when there is none.
    """
    depth, at = 0, start
    while at < len(text):
        sign = text[at]
        if sign in _QUOTES:
            at = _end_of_quote(text, at, is_raw=text[at - 1] in "rR")
            continue
        if sign == "{":
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
        elif text.startswith(CLOSE, at):
            return at + len(CLOSE)
        at += 1
    return None


def _end_of_quote(text: str, start: int, *, is_raw: bool) -> int:
    quote = text[start] * 3 if text.startswith(text[start] * 3, start) else text[start]
    at = start + len(quote)
    while at < len(text) and not text.startswith(quote, at):
        at += 1 if is_raw or text[at] != "\\" else 2
    return at + len(quote)
