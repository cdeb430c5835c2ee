"""Acts by hand as they are audited (reliability.md R35)."""

from __future__ import annotations

from core.engine import stimuli as s
from core.engine.acts_told import ToldAct, decode_act, told_acts
from core.engine.events import TaskActed
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

FAN = """
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: "{{ [1, 2] }}"
      steps: [{id: w, operator: "@test/anything", retry: {max_attempts: 2, delay_s: 60, jitter: none}}]
"""


def told(run: InstanceRun) -> list[ToldAct]:
    return [decode_act(body) for body in told_acts(run.plan, "01J", run.state.frames, run.events)]


def test_act_on_an_instance_is_told_with_who_and_why() -> None:
    run = run_of(FAN).feed(s.Pause("look", "p-1"))
    assert [ToldAct(act="instance.pause", by="p-1", reason="look", instance_id="01J")] == told(run)


def test_act_on_a_task_names_its_path_also_in_a_map_item() -> None:
    run = run_of(FAN).fail("m.1.w").feed(s.Act(act="retry", path="m.1.w", by="p-2", reason="up"))
    assert [ToldAct(act="task.retry", by="p-2", reason="up", instance_id="01J", task="m.1.w")] == told(run)
    event = TaskActed("", 0, "skip", "p-3", "x")
    [body] = told_acts(run.plan, "01J", run.state.frames, [event])
    assert "m" == decode_act(body).task
