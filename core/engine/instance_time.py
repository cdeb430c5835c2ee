"""Times as ranges of instance ids: an id is a ULID, whose first ten characters are its millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32; ascending as text like the numbers
_TIME_CHARACTERS = 10
_REST = "0" * 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_MAX = 2**48 - 1


def first_id_at(at: datetime) -> str:
    """Give the least id of the first millisecond that is not before `at` (aware); times before 1970 count as then."""
    milliseconds = -((_EPOCH - at) // timedelta(milliseconds=1))  # rounded up: what is earlier has a lesser id
    number = min(max(milliseconds, 0), _MILLISECONDS_MAX)
    return _written(number, _TIME_CHARACTERS) + _REST


def id_of(at: datetime, drawn: bytes) -> str:
    """Make a ULID of a time (aware) and ten drawn bytes."""
    return first_id_at(at)[:_TIME_CHARACTERS] + _written(int.from_bytes(drawn, "big"), len(_REST))


def _written(number: int, characters_count: int) -> str:
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(characters_count)))
