"""What a rerun takes over of the instance that it is a rerun of (semantics.md S44)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from core.engine.stored import Value

# Steps that hold lists of their own; any step may have an `on_error` list beside.
CONTAINERS = frozenset({"branch", "parallel", "map", "loop", "try"})


class Lent(msgspec.Struct, frozen=True, array_like=True, tag=60):
    """How a pending task will end, since such a task ended so before; its values lie in instance `lender`.

    Attributes:
        reused_from: the instance in which the task ran. It is not `lender` when that one had taken it over itself.
        output, error, reason: as the ended task had them.
        variables: run variables that lists inside it assigned, by name.
        copied: of the references in these values, in their order, as many as lie in this instance already.
        is_handled: False = it failed, and with it its list.
    """

    status: Literal["succeeded", "skipped", "failed", "cancelled"]
    reused_from: str
    lender: str
    output: Value | None = None
    error: Value | None = None
    reason: str | None = None
    variables: tuple[tuple[str, Value], ...] = ()
    copied: tuple[Value, ...] = ()
    is_handled: bool = True


class Again(msgspec.Struct, frozen=True, array_like=True, tag=62):
    """A container that runs again but for what ended well inside it: its lists lie in instance `lender`.

    `from_step` is what the caller of the rerun named: a task path, or `@failed`. With `failure` the task fails as it
    had failed, and only its `on_error` list runs again.
    """

    lender: str
    from_step: str
    failure: Lent | None = None


class Reused(msgspec.Struct, frozen=True, array_like=True, tag=61):
    """A task that ended as it had ended in instance `of`, where it ran; not `is_handled` = and its list failed."""

    of: str
    is_handled: bool = True


class Rerun(msgspec.Struct, frozen=True, array_like=True):
    """A start that is a rerun of the ended instance `of`.

    Attributes:
        from_step: what the caller named. by: id of the principal. reason: in the principal's words.
        lent: (index, what is taken over) of tasks in the top frame; of the lists inside a container that runs again it
            is chosen when they are entered.
    """

    of: str
    from_step: str | None
    by: str
    reason: str
    lent: tuple[tuple[int, Lent | Again], ...] = ()


class FormerTask(msgspec.Struct, frozen=True, kw_only=True):
    """How a task had ended, as far as a rerun looks at it.

    Attributes:
        operator: name of the step's operator then.
        lent: how it had ended; None = it was cut off from outside, or cannot be taken over as a whole.
        is_well: it ended well: what depends on it may be taken over, too.
        again: the instance in which its lists lie; None = it is no container, or did not get so far.
        failure, handled_in: how it had failed, and the instance in which its `on_error` list lies; None = it had none.
        has_failures: a map that succeeded though items of it failed.
    """

    operator: str
    lent: Lent | None = None
    is_well: bool = False
    again: str | None = None
    failure: Lent | None = None
    handled_in: str | None = None
    has_failures: bool = False


class FormerList(msgspec.Struct, frozen=True):
    """A list as it had ended: its tasks by step id, of a map's chunk one such for each item, with the items' values."""

    cells: tuple[Mapping[str, FormerTask], ...]
    items: Value | None = None
