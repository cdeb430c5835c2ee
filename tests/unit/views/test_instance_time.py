"""Times as ranges of ids, held against the library that makes the ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ulid import ULID

from core.engine.instance_time import first_id_at

AT = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "milliseconds"),
    [
        (AT, 0),
        (AT + timedelta(microseconds=1), 1),
        (AT - timedelta(microseconds=1), 0),
        (AT.astimezone(), 0),
    ],
)
def test_first_id_is_the_least_of_the_next_whole_millisecond(at: datetime, milliseconds: int) -> None:
    first = ULID.from_str(first_id_at(at))

    assert round(AT.timestamp() * 1_000) + milliseconds == first.milliseconds
    assert bytes(10) == first.bytes[6:]


def test_times_out_of_range_count_as_the_nearest_id() -> None:
    assert "0" * 26 == first_id_at(datetime(1960, 1, 1, tzinfo=UTC))
    assert first_id_at(datetime(9999, 1, 1, tzinfo=UTC)) > first_id_at(AT)
