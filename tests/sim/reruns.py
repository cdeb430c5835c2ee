"""What a client of the simulation finds for a rerun: an ended instance, and what of it is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engine.fold import restore
from core.engine.journal import decode_events
from core.engine.lending import Rerun
from core.engine.sharing import FAILED, Assignments, Past, shared
from core.ports.instance_store import TERMINAL_STATUSES
from driven_adapters.memory.instance_store import load_instance

if TYPE_CHECKING:
    from core.dag.plan import Plan
    from driven_adapters.memory.tables import Tables
    from tests.sim.chance import Random


def drawn_step(rng: Random, plan: Plan) -> str | None:
    """Draw from where an instance is run again."""
    return rng.choice([None, FAILED, *(plan.nodes[number].id for number in plan.lists[0].nodes)])


def drawn_rerun(rng: Random, tables: Tables, domain_id: str, plan: Plan) -> Rerun | None:
    """Draw a rerun of an instance of this DAG that has ended; None when there is none."""
    rows = [row for _, row in sorted(tables.group("instance").items())]
    ended = [row for row in rows if row.status in TERMINAL_STATUSES and row.domain_id == domain_id]
    of_plan = [row for row in ended if row.dag_hash == plan.content_hash]
    if not of_plan:
        return None
    row = rng.choice(of_plan)
    loaded = load_instance(tables, row.id, None)
    assert loaded is not None
    assigned = Assignments()
    for _, line in sorted(tables.group("journal", row.id).items()):
        assigned.read(decode_events(line.version, line.body))
    tasks = restore(plan, loaded, epoch=0).frames[""].tasks
    past = Past(instance_id=row.id, plan=plan, tasks=tasks, assigned=assigned.by_task(plan))
    from_step = drawn_step(rng, plan)
    return Rerun(row.id, from_step, "simulated", "simulated", shared(plan, past, from_step))
