"""From SQLite's errors to the core's: the one table of this adapter."""

from __future__ import annotations

import apsw

from core.errors import FlowError, StoreBroken, StoreFull, StoreUnavailable

# First match wins. What is not here is a bug of ours (a wrong statement) and stays what it is.
_KINDS: tuple[tuple[type[Exception], type[FlowError]], ...] = (
    (apsw.FullError, StoreFull),
    (apsw.IOError, StoreBroken),
    (apsw.CorruptError, StoreBroken),
    (apsw.NotADBError, StoreBroken),
    (apsw.BusyError, StoreUnavailable),
    (apsw.LockedError, StoreUnavailable),
    (apsw.CantOpenError, StoreUnavailable),
    (apsw.NoMemError, StoreUnavailable),
    (apsw.ProtocolError, StoreUnavailable),
    (apsw.ReadOnlyError, StoreUnavailable),
    (apsw.InterruptError, StoreUnavailable),
)

# A row that SQLite or its binding will not take: the item is refused, not the store at fault.
UNHOLDABLE = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    UnicodeEncodeError,
    OverflowError,
    TypeError,
)


def translate(fault: Exception) -> Exception:
    """Give the core's error for one of SQLite; any other exception is given back as it is."""
    for foreign, kind in _KINDS:
        if isinstance(fault, foreign):
            return kind(str(fault))
    return fault
