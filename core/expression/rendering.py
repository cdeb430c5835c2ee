"""Template to rendering: values are put into the tree, texts are joined (semantics.md S35)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from core.expression.names import NOTHING, reads_of, reference_of
from core.expression.plain import json_text, to_json
from core.expression.program import Program
from core.expression.template import Constant, Entries, Items, Mixed, Part, Template, TemplateExpression, Whole
from core.expression.tree import Read
from core.expression.value import ABSENT, ExpressionFailed, Fuel, Value, failed

# Longest text that a template makes, in bytes of UTF-8 (dag-language.md 3). A bare path is handed on whatever its size.
TEXT_BYTES_MAX: Final = 1 << 20

Render: TypeAlias = Callable[[Sequence[Value], Fuel, datetime], Value]


class Rendering:
    """A compiled template: pure, shared, kept as long as its version.

    Args:
        template: what it renders.
    """

    __slots__ = ("_render", "_root", "_slots", "constant", "handed_on", "is_constant", "reads")

    def __init__(self, template: Template) -> None:
        # What the slots must hold, in this order; each reference once, however many expressions read it.
        self.reads: tuple[Read, ...] = reads_of(*(expression.node for expression in template.expressions))
        self.is_constant = template.is_constant
        # The value of a template in which nothing is rendered, else None.
        self.constant: Value = template.root.value if isinstance(template.root, Constant) else None
        slots = {read.path: slot for slot, read in enumerate(self.reads)}
        # Slots that are only handed on as they are, never looked into: a reference to a stored value may stand there.
        self.handed_on: frozenset[int] = _handed_on(template, slots)
        self._root = template.root
        self._slots = slots
        self._render = _compile(template.root, slots)

    def render(self, slots: Sequence[Value], fuel: Fuel, now: datetime) -> Value:
        """Render.

        Args:
            slots: the values of `reads`, in their order; `ABSENT` where there is none.
            fuel: shared by all expressions of the template.
            now: aware; what `now()` gives.

        Returns:
            JSON. A whole bare reference puts the slot's object itself into the tree, whatever it is. The value shares
            parts with slots and template, so nobody may change it.

        Raises:
            ExpressionFailed: an expression has no value, fuel ran out, or a text passes 1 MiB (kind `limit`).
        """
        return self._render(slots, fuel, now)

    def render_known(self, slots: Sequence[Value], unknown: frozenset[int], fuel: Fuel, now: datetime) -> Value:
        """Render what reads none of the slots in `unknown`; every other text stays as it was written.

        Slower than `render`, which people who look at a plan do not mind.

        Raises:
            ExpressionFailed: as `render` does.
        """
        return _render_known(self._root, self._slots, unknown, lambda render: render(slots, fuel, now))


def compile_template(template: Template) -> Rendering:
    """Compile a template whose expressions were checked."""
    return Rendering(template)


_Slots: TypeAlias = dict[tuple[str, ...], int]


def _render_known(part: Part, slots: _Slots, unknown: frozenset[int], run: Callable[[Render], Value]) -> Value:
    match part:
        case Constant(value=value):
            return value
        case Items(items=items):
            return [_render_known(item, slots, unknown, run) for item in items]
        case Entries(entries=entries):
            return {key: _render_known(value, slots, unknown, run) for key, value in entries}
        case Whole(expression=expression):
            read = reads_of(expression.node)
        case _:
            read = reads_of(*(one.node for one in part.parts if isinstance(one, TemplateExpression)))
    return part.text if unknown.intersection(slots[one.path] for one in read) else run(_compile(part, slots))


def _handed_on(template: Template, slots: _Slots) -> frozenset[int]:
    bare: set[int] = set()
    looked_into: set[int] = set()
    for expression in template.expressions:
        reference = reference_of(expression.node, NOTHING)
        is_bare = expression.whole and reference is not None and not reference.rest
        found = bare if is_bare else looked_into
        found.update(slots[read.path] for read in reads_of(expression.node))
    return frozenset(bare - looked_into)


def _compile(part: Part, slots: _Slots) -> Render:
    match part:
        case Constant(value=value):
            return lambda _slots, _fuel, _now: value
        case Whole(expression=expression):
            return _compile_whole(expression, slots)
        case Mixed(parts=parts):
            return _compile_mixed(parts, slots)
        case Items(items=items):
            renders = [_compile(item, slots) for item in items]
            return lambda values, fuel, now: [render(values, fuel, now) for render in renders]
        case _:
            named = [(key, _compile(value, slots)) for key, value in part.entries]
            return lambda values, fuel, now: {key: render(values, fuel, now) for key, render in named}


def _compile_whole(expression: TemplateExpression, slots: _Slots) -> Render:
    program = Program(expression.node)
    if program.bare is not None:
        return _bare(slots[program.reads[0].path], ".".join(program.reads[0].path))
    evaluate = _evaluation(program, slots)

    def run(values: Sequence[Value], fuel: Fuel, now: datetime) -> Value:
        value = evaluate(values, fuel, now)
        if not program.is_plain:
            value = to_json(value, fuel)
        if type(value) is str and not program.is_path:
            _admit_text(value)
        return value

    return run


def _bare(slot: int, name: str) -> Render:
    def run(values: Sequence[Value], fuel: Fuel, _now: datetime) -> Value:
        fuel.burn(1)
        value = values[slot]
        if value is ABSENT:
            raise failed(f"{name} has no value")
        return value

    return run


def _evaluation(program: Program, slots: _Slots) -> Render:
    """Bind a program to the slots of the whole template."""
    own = [slots[read.path] for read in program.reads]
    evaluate = program.run
    if own == list(range(len(own))):
        # Further slots do no harm, but a program with macros puts its variables behind its own.
        count = len(own)
        return lambda values, fuel, now: evaluate(values if len(values) == count else values[:count], fuel, now)
    return lambda values, fuel, now: evaluate([values[slot] for slot in own], fuel, now)


def _compile_mixed(parts: tuple[str | TemplateExpression, ...], slots: _Slots) -> Render:
    renders: list[str | Render] = [
        part if isinstance(part, str) else _evaluation(Program(part.node), slots) for part in parts
    ]

    def run(values: Sequence[Value], fuel: Fuel, now: datetime) -> str:
        texts: list[str] = []
        length = 0
        for render in renders:
            text = render if isinstance(render, str) else _text(render(values, fuel, now), fuel)
            length += len(text)
            if length > TEXT_BYTES_MAX:
                raise _too_long()
            texts.append(text)
        return _admit_text("".join(texts))

    return run


def _text(value: Any, fuel: Fuel) -> str:
    """Give a value's text in a template: text as it is, times as they leave CEL, all else as compact JSON."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    plain = to_json(value, fuel) if not isinstance(value, (list, dict)) else value
    return plain if type(plain) is str else json_text(plain, fuel)


def _admit_text(text: str) -> str:
    if len(text) > TEXT_BYTES_MAX or (len(text) > TEXT_BYTES_MAX // 4 and len(text.encode()) > TEXT_BYTES_MAX):
        raise _too_long()
    return text


def _too_long() -> ExpressionFailed:
    return ExpressionFailed("limit", f"a template's text is longer than {TEXT_BYTES_MAX} bytes")
