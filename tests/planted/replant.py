"""Write the planted bugs anew from the table below: `python -m tests.planted.replant`, after the code beside them changed.

Each row replaces one text, which must stand exactly once in its file, by a wrong one; the diff becomes the patch.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys

from tests.planted.planting import FAILS_PREFIX, FOLDER, ROOT

NODE_TESTS = "tests/unit/engine_node"
SEEDS = "tests/sim/test_seeds.py::test_seeds_break_no_invariant_and_heal[0]"


@dataclasses.dataclass(frozen=True)
class Bug:
    """One bug: where, what stands there, what would be wrong there, and the tests that see it beside the seeds."""

    name: str
    path: str
    right: str
    wrong: str
    fails: tuple[str, ...]


BUGS = (
    Bug(
        "decide",
        "core/engine/decide.py",
        "    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):\n",
        "    if isinstance(held, Attempt):\n",
        ("tests/unit/engine/test_failure.py::test_late_and_foreign_outcomes_change_nothing",),
    ),
    Bug(
        "join",
        "core/engine/advance.py",
        '    if not upstream or node.join == "all_done":\n',
        '    if not upstream or node.join in {"all_done", "none_failed"}:\n',
        ("tests/unit/engine/test_order.py::test_s6_join_looks_at_how_every_upstream_ended",),
    ),
    Bug(
        "retry",
        "core/engine/outcome.py",
        "failures >= node.retry.max_attempts:\n",
        "failures > node.retry.max_attempts:\n",
        ("tests/unit/engine/test_failure.py::test_s13_s14_kinds_decide_about_retry",),
    ),
    Bug(
        "readiness",
        "core/engine/advance.py",
        "        if before is None or not before.has_ended:\n",
        "        if before is None:\n",
        ("tests/unit/engine/test_order.py::test_s6_fan_in_waits_for_every_upstream",),
    ),
    Bug(
        "fencing",
        "driven_adapters/memory/shard_store.py",
        "row.epoch == fence.epoch and fence.incarnation",
        "row.epoch >= fence.epoch and fence.incarnation",
        (
            "tests/contract/test_instance_store.py::test_late_batch_of_the_old_epoch_is_refused_after_the_next_owner_committed",
        ),
    ),
    Bug(
        "codec",
        "core/engine/journal.py",
        "    frame.tasks, frame.ends = row.tasks, row.ends\n",
        "    frame.tasks, frame.ends = row.tasks, [None] * row.cells\n",
        ("tests/unit/engine/test_codec.py::test_frames_read_back_have_the_counts_of_those_written",),
    ),
    Bug(
        "early-answer",
        "core/engine/node/committer.py",
        "            try:\n                refusals = await self._store.commit(",
        "            for item in items:\n"
        "                for given, answer in item.inputs:\n"
        "                    if given.answer is not None:\n"
        "                        self._finisher.finish(item.hot, given, answer, item.hot.status)\n"
        "            try:\n                refusals = await self._store.commit(",
        (f"{NODE_TESTS}/test_commit.py::test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed",),
    ),
    Bug(
        "recovery",
        "core/engine/node/loader.py",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in reversed(paths))\n",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in paths if path)\n",
        (f"{NODE_TESTS}/test_recovery.py::test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key",),
    ),
)


def patch_of(bug: Bug) -> str:
    """Make the text of a patch.

    Raises:
        ValueError: the right text does not stand exactly once in the file.
    """
    text = (ROOT / bug.path).read_text("utf-8")
    if text.count(bug.right) != 1:
        raise ValueError(f"{bug.name}: its text stands {text.count(bug.right)} times in {bug.path}")
    changed = text.replace(bug.right, bug.wrong)
    diff = difflib.unified_diff(
        text.splitlines(keepends=True), changed.splitlines(keepends=True), f"a/{bug.path}", f"b/{bug.path}"
    )
    named = "".join(f"{FAILS_PREFIX} {node_id}\n" for node_id in (*bug.fails, SEEDS))
    return f"{named}diff --git a/{bug.path} b/{bug.path}\n{''.join(diff)}"


def main() -> int:
    """Write all patches; those that are no longer in the table stay where they are."""
    for number, bug in enumerate(BUGS, 1):
        (FOLDER / f"{number:02d}-{bug.name}.patch").write_text(patch_of(bug), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
