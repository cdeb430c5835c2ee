"""W9: what do limits cost? `python -m bench.limits [PAIRS]`.

W1, and the same with a concurrency key on half of the instances, turn by turn on one engine. A shared machine changes
its speed by half from second to second, so turns are short, each is held against the one beside it, and the median of
the pairs counts. Which of a pair comes first alternates: the later one finds the engine warmer.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import msgspec

from bench import dags
from bench.engine import Engine, send_load
from bench.machine import cpu_s
from bench.workloads import IN_FLIGHT, check_count, count_in_store
from tests.figures import figure

PAIRS = 24
PAIRS_MAX = 200
TURN_COUNT = 300  # instances of a turn: some seven tenths of a second
LOSS_PERCENT_MAX = 10.0


class Turn(msgspec.Struct, frozen=True):
    """Seconds of one turn: by the clock, and of the engine's processor time."""

    wall_s: float
    cpu_s: float


class Limits(msgspec.Struct, frozen=True):
    """The turns of W1 and of W9, pair by pair."""

    plain: list[Turn]
    limited: list[Turn]

    def loss_percent(self, read: Callable[[Turn], float]) -> float:
        """Give how much less is done in one of the seconds that `read` gives, with limits: the median of the pairs."""
        pairs = zip(self.plain, self.limited, strict=True)
        return 100 * (1 - statistics.median(read(plain) / read(limited) for plain, limited in pairs))

    @property
    def is_within_bound(self) -> bool:
        """Say whether limits cost no more than they may, by the clock."""
        return self.loss_percent(lambda turn: turn.wall_s) <= LOSS_PERCENT_MAX


def measure_limits(pairs: int = PAIRS) -> Limits:
    """Run the turns, then count them in the store.

    Raises:
        CountWrong: an instance or a task is missing or doubled.
    """
    taken = Limits([], [])
    with Engine("limits") as engine:
        plain_id, limited_id = engine.publish(dags.chain()), engine.publish(dags.limited_chain())
        plain = engine.make_load(plain_id, count=TURN_COUNT, in_flight=IN_FLIGHT)
        limited = engine.make_load(plain_id, count=TURN_COUNT, in_flight=IN_FLIGHT, other_id=limited_id)
        send_load(plain)
        send_load(limited)
        for number in range(pairs):
            turns = [(plain, taken.plain), (limited, taken.limited)]
            for load, kept in turns if number % 2 else reversed(turns):
                used_s = cpu_s(engine.pid)
                wall_s = send_load(load).wall_s
                kept.append(Turn(wall_s, cpu_s(engine.pid) - used_s))
    counts = count_in_store(engine.store_path).by_dag
    half = TURN_COUNT // 2 * (pairs + 1)
    check_count("W9 limited", counts.get(limited_id), instances=half, tasks_each=dags.CHAIN_STEPS)
    check_count("W9 plain", counts.get(plain_id), instances=3 * half, tasks_each=dags.CHAIN_STEPS)
    return taken


def show_limits(measured: Limits) -> bool:
    """Print the figure; say whether it holds."""
    loss = measured.loss_percent(lambda turn: turn.wall_s)
    return figure(
        "W9_loss_percent",
        loss,
        f"<= {LOSS_PERCENT_MAX:g}",
        measured.is_within_bound,
        cpu_loss_percent=measured.loss_percent(lambda turn: turn.cpu_s),
        W1_tasks_per_s=_tasks_per_s(measured.plain),
        W9_tasks_per_s=_tasks_per_s(measured.limited),
        pairs=len(measured.plain),
    )


def _tasks_per_s(turns: list[Turn]) -> float:
    return TURN_COUNT * dags.CHAIN_STEPS / statistics.median(turn.wall_s for turn in turns)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    if not 1 <= asked <= PAIRS_MAX:
        sys.exit(f"PAIRS is 1 to {PAIRS_MAX}")
    sys.exit(0 if show_limits(measure_limits(asked)) else 1)
