"""One simulated instance: what stands in the store now, and assertions about it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from core.engine.answering import CallbackError
from core.engine.views import InstanceView, TaskView
from flow_automation.testing.answers import TESTER, Answers

if TYPE_CHECKING:
    from flow_automation.testing.call_book import CallRecord
    from flow_automation.testing.simulation import Simulation

Tell = Callable[[Callable[[Answers], Coroutine[Any, Any, None]]], None]
SHOWN_TASKS_COUNT_MAX = 10  # in a message; the rest is in `tasks`


class SimulatedInstance:
    """An instance of a simulation. Every attribute is read anew from the store."""

    def __init__(self, simulation: Simulation, instance_id: str, tell: Tell) -> None:
        """Take the id, and what lets somebody outside say something; `Simulation.start` makes it."""
        self._simulation = simulation
        self._tell = tell
        self.id = instance_id

    @property
    def status(self) -> str:
        """`queued`, `running`, `cancelling`, `succeeded`, `failed` or `cancelled`."""
        return self._view.status

    @property
    def outputs(self) -> Any:
        """The outputs as a JSON value; None before the end and after a failure."""
        return _value(self._view.outputs)

    @property
    def error(self) -> Any:
        """Why it failed: `{kind, message, step, attempt, ..}`; else None."""
        return _value(self._view.error)

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Every task that was entered, by its path: `status, reason, attempts, output, error`."""
        return {view.path: _shown(view) for view in self._simulation.read_tasks(self.id)}

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Every event of the journal in order; `event` is its name."""
        return self._simulation.read_events(self.id)

    def export(self, file: Path) -> Path:
        """Write it into a trace file as it stands now, secrets masked; `flow replay FILE` plays it."""
        file.write_bytes(self._simulation.read_trace(self.id))
        return file

    def calls(self, step: str | None = None) -> list[CallRecord]:
        """Give the calls of operators in their order, all or those of one step id or task path."""
        return [
            call
            for call in self._simulation.calls
            if call.instance_id == self.id and step in (None, call.step, call.path)
        ]

    def cancel(self, reason: str = "cancelled by the test") -> None:
        """Cancel with grace (semantics.md S41); let time `advance` to see its end."""
        self._simulation.cancel(self.id, reason)

    def send_signal(self, name: str, data: Any = None) -> None:
        """Give it a signal, which a wait takes now or later (semantics.md S26).

        Raises:
            InstanceEnded: it has ended. SignalsFull, RequestInvalid: as the API.
        """
        self._tell(lambda answers: answers.signal(self.id, name, data))

    def answer_callback(self, path: str, data: Any = None) -> None:
        """Call the callback of the wait at this task path: it succeeds with `data`, also when it has not begun (S27).

        Raises:
            CallbackNotFound: no such wait. CallbackOver: it takes no call any more.
        """
        self._tell(lambda answers: answers.call_back(self.id, path, data, None))

    def fail_callback(self, path: str, message: str = "failed by the test", *, kind: str = "failed") -> None:
        """Call the callback of the wait at this task path: it fails with an error of this kind.

        Raises:
            As `answer_callback`.
        """
        error = CallbackError(kind=kind, message=message)
        self._tell(lambda answers: answers.call_back(self.id, path, None, error))

    def approve(self, path: str, data: Any = None, *, by: str = TESTER, comment: str | None = None) -> None:
        """Approve what the step at this task path asks, as somebody of this name or id (S28).

        Raises:
            ApprovalNotFound: it does not ask now, or does not ask `by`. RequestInvalid: `data` do not fit its form.
        """
        self._tell(lambda answers: answers.decide(self.id, path, "approved", data=data, comment=comment, by=by))

    def reject(self, path: str, data: Any = None, *, by: str = TESTER, comment: str | None = None) -> None:
        """Reject what the step at this task path asks: it fails with kind `rejected`.

        Raises:
            As `approve`.
        """
        self._tell(lambda answers: answers.decide(self.id, path, "rejected", data=data, comment=comment, by=by))

    def assert_succeeded(self) -> Self:
        """Fail unless it succeeded; says why not."""
        self._assert_status("succeeded")
        return self

    def assert_failed(self, kind: str | None = None, *, step: str | None = None) -> Self:
        """Fail unless it failed, with this kind of error and at this step or path, if they are given."""
        self._assert_status("failed")
        error = self.error
        if kind not in (None, error["kind"]) or step not in (None, error["step"]):
            raise AssertionError(f"expected a failure of kind {kind} at {step}, but: {error}")
        return self

    def assert_called_once(self, step: str) -> CallRecord:
        """Fail unless the operator of this step or task path was called exactly once; gives the call."""
        calls = self.calls(step)
        if len(calls) != 1:
            told = ", ".join(f"{call.path} attempt {call.attempt} at {call.at:%H:%M:%S}" for call in calls[:10])
            raise AssertionError(f"expected one call of {step}, but there were {len(calls)}: {told or 'none'}")
        return calls[0]

    def assert_not_called(self, step: str) -> Self:
        """Fail when the operator of this step or task path was called."""
        if self.calls(step):
            raise AssertionError(f"expected no call of {step}, but there were {len(self.calls(step))}")
        return self

    @property
    def _view(self) -> InstanceView:
        return self._simulation.read_instance(self.id)

    def _assert_status(self, wanted: str) -> None:
        view = self._view
        if view.status == wanted:
            return
        tasks = [f"  {path}: {task['status']} {task['error'] or ''}" for path, task in self.tasks.items()]
        lines = [f"expected {wanted}, but instance {self.id} is {view.status}: {_value(view.error)}"]
        raise AssertionError("\n".join(lines + tasks[:SHOWN_TASKS_COUNT_MAX]))


def _shown(view: TaskView) -> dict[str, Any]:
    return {name: _value(getattr(view, name)) for name in view.__struct_fields__}


def _value(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
