"""F13: what an instance costs that waits: no task, and nothing once it has left memory.

Instances begin to wait for a far time until those that stay in memory and the store's caches are as many as they get;
what more of them add to the resident memory is then looked at. In the length of a release they are as many as W7 has,
and each one's share of all that the engine has grown by is shown, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from bench.dags import single_wait
from bench.machine import memory_bytes
from bench.waiting import RESIDENT_BYTES_MAX
from tests.budget import length
from tests.figures import figure
from tests.load.engines import one_step, open_engine, run, start

WARM_COUNT = 100  # plans are compiled and statements prepared before memory is looked at
# Five times what stays in memory: the caches of the store's connections have filled as well by then.
FULL_COUNT = 20_000
# As many as the figure is promised for: fewer would each carry a larger share of those that stay in memory.
WAITING_COUNT_OF_FIGURE = 100_000
FAR = timedelta(days=30)
LOOK_COUNT = (
    5  # a task that waits for its instance is there at each of them; one of the engine's own rounds comes and goes
)


def measure() -> bool:
    """Let them wait; look at memory and tasks before and after."""
    count = length("waiting_instance_count")
    with open_engine("F13") as engine:
        waiting = engine.publish(single_wait())
        look = engine.publish(one_step("Look", "@load/look", s=0.1))
        far = (datetime.now(UTC) + FAR).isoformat().replace("+00:00", "Z")  # noqa: TID251 - load of a figure
        inputs = msgspec.json.encode({"at": far}).decode()
        start(engine, waiting, WARM_COUNT, inputs)
        tasks, base = run(engine, look)["task_count"], memory_bytes(engine.pid)[0]
        start(engine, waiting, FULL_COUNT, inputs)
        full = memory_bytes(engine.pid)[0]
        start(engine, waiting, count - FULL_COUNT, inputs)
        last = memory_bytes(engine.pid)[0]
        tasks = min(run(engine, look)["task_count"] for _ in range(LOOK_COUNT)) - tasks
        hot = int(engine.read_metrics()["flow_node_hot_instances"])
    more = count - FULL_COUNT
    told = {"n": count, "in_memory": hot}
    held = [
        figure("F13 tasks_of_waiting", tasks, "= 0", tasks <= 0, **told),
        figure(
            "F13 resident_bytes_of_each_more", (last - full) / more, f"< {RESIDENT_BYTES_MAX:g}",
            last - full < RESIDENT_BYTES_MAX * more, more=more, **told,
        ),
    ]  # fmt: skip
    if count >= WAITING_COUNT_OF_FIGURE:
        resident = (last - base) / count
        bound = f"< {RESIDENT_BYTES_MAX:g}"
        held.append(figure("F13 resident_bytes", resident, bound, resident < RESIDENT_BYTES_MAX, **told))
    return all(held)
