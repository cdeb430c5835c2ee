"""A scenario repeated with a crash at every place where one can come."""

from __future__ import annotations

from collections.abc import Callable

from flow_automation.testing.faults import Faults
from flow_automation.testing.simulation import Simulation

POINTS_COUNT_MAX = 2_000  # two per commit; a scenario with more commits is split, or drawn from by `Faults.crash_share`


def survives_every_crash(scenario: Callable[[Simulation], None], *, seed: int = 1) -> int:
    """Run a scenario without faults, then once per commit and side with the process killed there and started again.

    Args:
        scenario: scripts, runs and asserts; called with a new simulation each time, so it must begin from nothing.
        seed: of all the runs.

    Returns:
        How many crashes it went through.

    Raises:
        AssertionError: of the scenario, or of a call that came twice; says at which point.
        ValueError: more than POINTS_COUNT_MAX points.
    """
    with Simulation(seed=seed) as simulation:
        scenario(simulation)
        commit_count = simulation.commit_count
    points = [f"{side}_commit:{number}" for number in range(1, commit_count + 1) for side in ("before", "after")]
    if len(points) > POINTS_COUNT_MAX:
        raise ValueError(f"{len(points)} crash points; at most {POINTS_COUNT_MAX} are run")
    for point in points:
        with Simulation(seed=seed, faults=Faults(crash_at=(point,))) as simulation:
            try:
                scenario(simulation)
                simulation.assert_no_double_effects()
            except AssertionError as fault:
                raise AssertionError(f"with a crash at {point}, seed {seed}: {fault}") from fault
            if not simulation.crash_count:
                raise AssertionError(f"{point} was never reached: the scenario differs from run to run")
    return len(points)
