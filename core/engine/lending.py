"""What a rerun takes over of the instance that it is a rerun of (semantics.md S44)."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.engine.stored import Value


class Lent(msgspec.Struct, frozen=True, array_like=True, tag=60):
    """How a pending task will end, since such a task ended so before; its values lie in instance `lender`.

    Attributes:
        reused_from: the instance in which the task ran. It is not `lender` when that one had taken it over itself.
        output, error, reason: as the ended task had them.
        variables: run variables that lists inside it assigned, by name.
        copied: of the references in these values, in their order, as many as lie in this instance already.
    """

    status: Literal["succeeded", "skipped", "failed"]
    reused_from: str
    lender: str
    output: Value | None = None
    error: Value | None = None
    reason: str | None = None
    variables: tuple[tuple[str, Value], ...] = ()
    copied: tuple[Value, ...] = ()


class Reused(msgspec.Struct, frozen=True, array_like=True, tag=61):
    """A task that ended as it had ended in instance `of`, where it ran."""

    of: str


class Rerun(msgspec.Struct, frozen=True, array_like=True):
    """A start that is a rerun of the ended instance `of`.

    Attributes:
        from_step: what the caller named. by: id of the principal. reason: in the principal's words.
        lent: (index, what is taken over) of tasks in the top frame.
    """

    of: str
    from_step: str | None
    by: str
    reason: str
    lent: tuple[tuple[int, Lent], ...] = ()
