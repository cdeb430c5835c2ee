"""The end of an input: its fate is known, its caller is answered, its marks are taken away."""

from __future__ import annotations

from core.engine.effects import Answer
from core.engine.node.attempts import Attempts
from core.engine.node.hot import HotInstance, Input
from core.engine.node.intake import Intake
from core.engine.node.marks import Marks
from core.engine.node.recovery import sweep_portion
from core.engine.node.terms import Started
from core.engine.state import InstanceStatus
from core.engine.stimuli import AttemptEnded, Continue, Start, SweepFrame
from core.errors import IdempotencyKeyReused, OutcomeUnknown
from core.ports.instance_store import SeenKey, StartKey


class ShardMoved(Exception):
    """The instance's shard is another node's now, and this input came to nothing here: it is stored for that node."""


class Finisher:
    """Answers callers after the commit, never before (R10)."""

    def __init__(self, *, marks: Marks, attempts: Attempts, intake: Intake) -> None:
        self._marks = marks
        self._attempts = attempts
        self._intake = intake

    def finish(self, hot: HotInstance, given: Input, answer: Answer | None, status: InstanceStatus) -> None:
        """End an input that is decided and whose commit has landed, or that was read from landed state."""
        self._marks.end(given)
        stimulus = given.stimulus
        if isinstance(stimulus, AttemptEnded):
            self._attempts.settled(hot.id, stimulus)
        elif isinstance(stimulus, SweepFrame | Continue):
            self._count_down(hot, given)
        elif isinstance(stimulus, Start):
            given.resolve(Started(hot.id, False, status))
            for repeat in given.repeats:
                answer_repeat(repeat, hot.id, _hash_of(given), status)
        else:
            given.resolve(answer)
            for repeat in given.repeats:
                answer_same(repeat, given.seen, answer)

    def struck(self, hot: HotInstance, given: Input, bug: Exception) -> None:
        """End an input that cannot be decided."""
        self.bar(given, bug)
        self._count_down(hot, given)

    def bar(self, given: Input, error: BaseException) -> None:
        """End an input whose rows stay in the store; under this epoch they are not taken in again."""
        self._marks.bar(given)
        given.reject(error)

    def _count_down(self, hot: HotInstance, given: Input) -> None:
        # Not below zero: an input of a dropped instance may reach the one in its place.
        if isinstance(given.stimulus, SweepFrame):
            hot.sweeping = max(0, hot.sweeping - 1)
            self.feed_sweeps(hot)
        elif isinstance(given.stimulus, Continue):
            hot.continuing = max(0, hot.continuing - 1)

    def reject(self, given: Input, error: BaseException) -> None:
        """End an input that came to nothing."""
        self._marks.end(given)
        given.reject(error)

    def moved(self, given: Input, *, is_unknown: bool = False) -> None:
        """End an input whose shard is lost: one that was in no commit may be stored for the next owner."""
        if is_unknown or given.is_unsure:
            unknown = "the shard was lost before the fate of the commit was known"
            self.reject(given, OutcomeUnknown(unknown, instance_id=given.instance_id))
        else:
            self.reject(given, ShardMoved("the instance moves to another node"))

    def feed_sweeps(self, hot: HotInstance) -> None:
        """Send the next frames that a closing mark is carried into, when the last ones are committed."""
        if hot.sweeping or not hot.sweeps or hot.state is None or hot.is_dropped:
            return
        portion = sweep_portion(hot.state, hot.sweeps)
        hot.sweeping = len(portion)
        for path in portion:
            self._intake.put(Input(hot.id, SweepFrame(path)))


def answer_repeat(repeat: Input, first_id: str, first_hash: str, status: InstanceStatus) -> None:
    """Answer a start whose key was used before: the first instance, or that the request was another one (R16, R19)."""
    key = _key_of(repeat)
    if key is not None and key.req_hash != first_hash:
        repeat.reject(IdempotencyKeyReused(f"the key belongs to instance {first_id}", instance_id=first_id))
    else:
        repeat.resolve(Started(first_id, True, status))


def answer_same(repeat: Input, first: SeenKey | None, answer: Answer | None) -> None:
    """Answer a signal whose key was used before as the first one was, or that it was another request's (R19)."""
    if first is not None and repeat.seen is not None and repeat.seen.req_hash != first.req_hash:
        repeat.reject(IdempotencyKeyReused("the key belongs to another signal", instance_id=repeat.instance_id))
    else:
        repeat.resolve(answer)


def _hash_of(given: Input) -> str:
    key = _key_of(given)
    return "" if key is None else key.req_hash


def _key_of(given: Input) -> StartKey | None:
    return None if given.request is None else given.request.start_key
