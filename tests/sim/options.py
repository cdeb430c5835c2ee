"""What one seed turns on: swarm style, each fault class in about half of the seeds (reliability.md T-01)."""

from __future__ import annotations

import msgspec

from core.ports.instance_store import CommitBounds
from tests.sim.chance import derived


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Every choice of one seed. Rates are shares of calls; a class that is off has rate 0 or False."""

    seed: int
    shard_count: int
    bounds: CommitBounds
    attempts_max: int
    hot_instances_max: int
    dag_count: int
    instance_count: int
    client_count: int
    storm_s: float
    store_delay_s: float
    kill: bool
    kill_every_s: float
    pause: bool
    zombie: float
    unavailable: float
    unknown: float
    refused: float
    slow: float
    outage: bool
    clock: bool
    failing: float
    hanging: float
    stubborn: float
    duplicate: float
    cancel: float
    terminate: float
    held: float
    keyless: float
    restart_to_heal: bool
    objects_unavailable: float
    sweep: bool
    large: float
    node_count: int
    drain: bool
    grace_s: float
    cut: bool
    full: bool
    skew_s: float
    at_once: float
    rerun: float
    calls: float
    retries_per_s: float

    def told(self) -> str:
        """Give them on one line, to be printed."""
        return " ".join(f"{name}={_shown(getattr(self, name))}" for name in self.__struct_fields__)


def _shown(value: object) -> str:
    if isinstance(value, CommitBounds):
        return f"{value.items_max}/{value.bytes_max}/{value.writes_max}/{value.shards}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def options_of(seed: int) -> Options:
    """Derive every option from the seed."""
    rng = derived(seed, "options")

    def half(low: float, high: float) -> float:
        """Give 0 in half of the seeds, else a rate between the two."""
        drawn, is_on = rng.uniform(low, high), rng.random() < 0.5
        return drawn if is_on else 0.0

    return Options(
        seed=seed,
        shard_count=rng.choice((1, 2, 8)),
        bounds=CommitBounds(
            items_max=rng.choice((1, 3, 16, 256)),
            bytes_max=rng.choice((20_000, 200_000, 1_048_576)),
            writes_max=rng.choice((10, 60, 500)),
            shards=rng.choice(("one", "many", "many")),
        ),
        attempts_max=rng.choice((1, 2, 5, 50, 512)),
        hot_instances_max=rng.choice((1, 4, 1000)),
        dag_count=rng.randint(2, 6),
        instance_count=rng.randint(8, 32),
        client_count=rng.randint(2, 6),
        storm_s=rng.uniform(5.0, 25.0),
        store_delay_s=rng.choice((0.0005, 0.005, 0.05)),
        kill=rng.random() < 0.6,
        kill_every_s=rng.uniform(0.8, 6.0),
        pause=rng.random() < 0.5,
        zombie=half(0.5, 1.0),
        unavailable=half(0.005, 0.05),
        unknown=half(0.01, 0.15),
        refused=half(0.05, 0.3),
        slow=half(0.01, 0.05),
        outage=rng.random() < 0.5,
        clock=rng.random() < 0.5,
        failing=half(0.02, 0.2),
        hanging=half(0.005, 0.03),
        stubborn=half(0.2, 0.8),
        duplicate=half(0.3, 0.9),
        cancel=half(0.05, 0.3),
        terminate=half(0.02, 0.15),
        keyless=half(0.05, 0.3),
        restart_to_heal=rng.random() < 0.5,
        objects_unavailable=half(0.02, 0.3),
        sweep=rng.random() < 0.5,
        large=half(0.05, 0.4),
        node_count=rng.randint(1, 5),
        drain=rng.random() < 0.5,
        grace_s=rng.choice((0.2, 2.0, 25.0)),
        cut=rng.random() < 0.5,
        full=rng.random() < 0.5,
        skew_s=half(0.05, 1.5),
        at_once=half(0.05, 0.3),
        held=half(0.05, 0.4),
        rerun=half(0.1, 0.4),
        calls=half(0.3, 1.0),
        retries_per_s=rng.choice((0.5, 10.0)),
    )
