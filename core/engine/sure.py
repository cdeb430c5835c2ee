"""For values that cannot be missing where they are asked for: the plan or the state would contradict itself."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def sure(value: T | None) -> T:
    """Give `value`, which is not None.

    Raises:
        AssertionError: it is None; a programming error, which quarantines the instance and nothing else.
    """
    if value is None:
        message = "the state contradicts the plan"
        raise AssertionError(message)
    return value


def sure_of(kind: type[T], value: object) -> T:
    """Give `value`, which is of this kind.

    Raises:
        AssertionError: it is of another; a programming error, which quarantines the instance and nothing else.
    """
    if not isinstance(value, kind):
        message = f"expected {kind.__name__}, found {type(value).__name__}"
        raise AssertionError(message)  # noqa: TRY004 - the caller gave no wrong argument: the program is wrong
    return value
