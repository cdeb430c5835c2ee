"""What a client of the simulation finds for a rerun: an ended instance, and what of it is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engine.fold import restore
from core.engine.former import Assignments, Past, shared
from core.engine.journal import decode_events
from core.engine.lending import Rerun
from core.engine.sharing import FAILED, way_to
from core.errors import RequestInvalid
from core.ports.instance_store import TERMINAL_STATUSES
from driven_adapters.memory.instance_store import load_instance

if TYPE_CHECKING:
    from core.dag.plan import Node, Plan
    from driven_adapters.memory.tables import Tables
    from tests.sim.chance import Random


def drawn_step(rng: Random, plan: Plan) -> str | None:
    """Draw from where an instance is run again: most named tasks lie inside containers and lists of `on_error`."""
    inside = [node for node in plan.nodes if node.list != 0]
    if inside and rng.random() < 0.7:
        path = _drawn_path(rng, plan, rng.choice(inside))
        try:
            way_to(plan, path)
        except RequestInvalid:  # it lies in a hook
            return FAILED
        return path
    return rng.choice([None, FAILED, *(plan.nodes[number].id for number in plan.lists[0].nodes)])


def _drawn_path(rng: Random, plan: Plan, node: Node) -> str:
    """Give the path of a task of this node, in items and iterations that perhaps never were."""
    path, held = node.id, plan.lists[node.list]
    while held.owner is not None:
        owner = plan.nodes[held.owner]
        if owner.map is not None or (owner.loop is not None and owner.loop.body == held.index):
            path = f"{owner.id}.{rng.randint(0, 3)}.{path}"
        held = plan.lists[owner.list]
    return path


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
