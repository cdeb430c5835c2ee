"""What is dropped, counted and told when lines come faster than they are stored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.ports.log_rules import (
    ATTEMPTS_COUNTED_MAX,
    LINE_BYTES,
    LOSERS_COUNT_MAX,
    LineBuffer,
    check_page,
    line_bytes,
)
from core.ports.task_log import ATTEMPT_BYTES_MAX, TaskLogLine

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def line(message: str = "m", task: str = "a", attempt: int = 1) -> TaskLogLine:
    return TaskLogLine(instance_id="i", domain_id="d", task_path=task, attempt=attempt, level="info", message=message)


def take(buffer: LineBuffer, count_max: int = 1_000, bytes_max: int = 10**9) -> list[str]:
    return [timed.line.message for timed in buffer.take(NOW, count_max=count_max, bytes_max=bytes_max)]


def test_full_buffer_drops_counts_and_tells_each_attempt_once_there_is_room() -> None:
    buffer = LineBuffer(waiting_bytes_max=2 * (LINE_BYTES + 1))
    for _ in range(5):
        buffer.add(line(), NOW)
    buffer.add(line(task="b"), NOW)

    assert (4, 4) == (len(buffer), buffer.dropped_count)
    told = take(buffer)
    assert ["m", "m"] == told[:2]
    assert {"3 lines", "1 lines"} == {text[:7] for text in told[2:]}
    assert 0 == len(buffer)
    buffer.add(line(), NOW)
    assert ["m"] == take(buffer)


def test_portion_keeps_to_both_bounds_but_gives_one_line_at_least() -> None:
    buffer = LineBuffer()
    for message in ("one", "two", "three"):
        buffer.add(line(message), NOW)

    assert ["one"] == take(buffer, bytes_max=1)
    assert ["two"] == take(buffer, count_max=1)
    assert ["three"] == take(buffer)
    assert [] == take(buffer)


def test_more_losers_than_are_told_one_by_one_are_counted_all_the_same() -> None:
    buffer = LineBuffer(waiting_bytes_max=0)
    for number in range(LOSERS_COUNT_MAX + 3):
        buffer.add(line(task=f"t{number}"), NOW)

    assert (LOSERS_COUNT_MAX, LOSERS_COUNT_MAX + 3) == (len(buffer), buffer.dropped_count)
    assert 10 == len(take(buffer, count_max=10))


def test_attempt_over_its_bound_writes_one_last_line_and_nothing_more() -> None:
    buffer = LineBuffer()
    size = line_bytes(line("x" * 16_000))
    for _ in range(ATTEMPT_BYTES_MAX // size + 5):
        buffer.add(line("x" * 16_000), NOW)
    found = take(buffer)

    assert ATTEMPT_BYTES_MAX // size + 1 == len(found)
    assert "left out" in found[-1]
    assert 5 == buffer.dropped_count


def test_attempts_that_are_counted_stay_bounded() -> None:
    buffer = LineBuffer()
    for number in range(ATTEMPTS_COUNTED_MAX + 10):
        buffer.add(line(attempt=number), NOW)
        take(buffer)

    assert ATTEMPTS_COUNTED_MAX == len(buffer._written)


def test_attempt_without_its_task_is_no_page() -> None:
    assert 7 == check_page("a", 1, 7)
    with pytest.raises(ValueError, match="attempt"):
        check_page(None, 1, 7)
