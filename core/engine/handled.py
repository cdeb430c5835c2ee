"""Whether a failure was handled (semantics.md S9)."""

from __future__ import annotations

from core.dag.plan import Node
from core.engine.lending import Reused
from core.engine.state import Handling, Task
from core.engine.statuses import TASK_FAILED


def is_handled(node: Node, task: Task) -> bool:
    """Say whether the failure of this task was handled."""
    by_list = isinstance(task.detail, Handling) and task.detail.phase == "handled"
    by_list = by_list or (isinstance(task.detail, Reused) and task.detail.is_handled)
    return task.status is TASK_FAILED and (node.on_error == "continue" or by_list)
