"""Bugs that may be planted in what keeps and carries out: nodes, stores, and the ways to the outside."""

from __future__ import annotations

from tests.planted.bug import Bug

NODE_TESTS = "tests/unit/engine_node"
TRACES = "tests/sim/test_traces.py"
NODE_TRACES = "tests/sim/test_node_traces.py"
RETRY_TRACES = "tests/sim/test_retry_traces.py"
GATE_TRACES = "tests/sim/test_gate_traces.py"
PERMITS = "tests/contract/test_permits.py"
DISK_FAULTS = "tests/contract/test_sqlite_faults.py::TestFaultyDisk::test_failing_operation_loses_nothing_acknowledged"
EGRESS = "tests/unit/egress/test_egress_client.py"
PERMUTED = "tests/sim/test_permutations.py::test_every_order_of_two_acts_keeps_the_invariants_and_ends_as_answered"
PASSED_ON = "tests/contract/test_passed_on.py"

BUGS = (
    Bug(
        5,
        "fencing",
        "driven_adapters/memory/shard_store.py",
        "row.epoch == fence.epoch and fence.incarnation",
        "row.epoch >= fence.epoch and fence.incarnation",
        (
            "tests/contract/test_instance_store.py::test_late_batch_of_the_old_epoch_is_refused_after_the_next_owner_committed",
        ),
    ),
    Bug(
        7,
        "early-answer",
        "core/engine/node/committer.py",
        "            try:\n                refusals = await self._written(",
        "            for item in items:\n"
        "                for given, answer in item.inputs:\n"
        "                    if given.answer is not None:\n"
        "                        self._finisher.finish(item.hot, given, answer, item.hot.status)\n"
        "            try:\n                refusals = await self._written(",
        (
            f"{NODE_TESTS}/test_commit.py::test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed",
            f"{PERMUTED}[commit-cancel]",
        ),
    ),
    Bug(
        8,
        "recovery",
        "core/engine/node/loader.py",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in reversed(paths))\n",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in paths if path)\n",
        (
            f"{NODE_TESTS}/test_recovery.py::test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key",
            "tests/unit/sdk/test_seeds.py::test_no_seed_breaks_an_invariant_whatever_faults_come_together",
        ),
    ),
    Bug(
        9,
        "no-fence",
        "driven_adapters/memory/shard_store.py",
        "    if lost:\n        raise Fenced(lost)\n",
        "    if lost and not fences:\n        raise Fenced(lost)\n",
        (
            "tests/contract/test_shard_store.py::test_settle_names_every_fence_that_is_over",
            f"{PERMUTED}[takeover-complete]",
        ),
    ),
    Bug(
        10,
        "same-epoch",
        "driven_adapters/memory/shard_store.py",
        "StoredShard(row.epoch + 1, node)",
        "StoredShard(row.epoch, node)",
        ("tests/contract/test_shard_store.py::test_shard_of_an_ended_lease_goes_to_the_next_node_with_the_next_epoch",),
        more=(("Fence(shard, row.epoch + 1, ", "Fence(shard, row.epoch, "),),
    ),
    Bug(
        11,
        "endless-lease",
        "core/engine/node/ownership.py",
        "before + self._settings.lease_ttl_s - self._settings.lease_margin_s",
        "before + 20 * self._settings.lease_ttl_s",
        (
            f"{NODE_TESTS}/test_recovery.py::test_node_whose_renewals_fail_gives_up_in_time_and_goes_on_under_a_new_lease",
        ),
    ),
    Bug(
        12,
        "wall-clock",
        "core/engine/node/ownership.py",
        "        if self._clock.monotonic() < self._deadline:\n",
        "        if self._clock.now().timestamp() < self._deadline:\n",
        (f"{NODE_TRACES}::test_lease_ends_although_the_wall_clock_goes_back",),
        is_rare=True,
        more=(
            (
                "        before = self._clock.monotonic()\n        await self._shards.open_lease",
                "        before = self._clock.now().timestamp()\n        await self._shards.open_lease",
            ),
            (
                "        before = self._clock.monotonic()\n        call = ",
                "        before = self._clock.now().timestamp()\n        call = ",
            ),
        ),
    ),
    Bug(
        14,
        "timer-stays",
        "core/engine/node/item.py",
        "            self.timers_removed[given.timer.due_at, given.timer.n] = None\n",
        "            del given.timer\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_timer_that_nobody_knows_is_taken_out_of_the_store",),
    ),
    Bug(
        17,
        "start-key",
        "driven_adapters/memory/commit.py",
        "        if first is not None:\n",
        "        if first is not None and first.instance_id == change.row.id:\n",
        (f"{NODE_TESTS}/test_commit.py::test_repeat_of_a_landed_key_answers_the_first_instance",),
    ),
    Bug(
        18,
        "ingested-key",
        "driven_adapters/memory/ingest.py",
        "        if first is not None:\n",
        "        if first is not None and first.instance_id == row.id:\n",
        (f"{NODE_TRACES}::test_m7_start_at_a_node_without_the_shard_runs_at_its_owner",),
    ),
    Bug(
        22,
        "unsent",
        "core/engine/node/loader.py",
        "        for effect in unsent_attempts(hot.plan, state, self.attempts.sent(hot.id)):\n",
        "        for effect in unsent_attempts(hot.plan, state, self.attempts.sent(hot.id))[:0]:\n",
        (f"{TRACES}::test_m1_lost_answer_of_any_commit_loses_no_call_and_doubles_none",),
    ),
    Bug(
        23,
        "taken-out",
        "core/engine/node/committer.py",
        "        self._loader.start(self._fates.reload(hot, kept))\n",
        "        self._loader.start(self._fates.reload(hot, kept[:0]))\n",
        (f"{TRACES}::test_m5_item_that_is_taken_out_is_decided_again",),
    ),
    Bug(
        24,
        "early-call",
        "core/engine/node/committer.py",
        "            try:\n                refusals = await self._written(",
        "            for item in items:\n"
        "                for start in item.starts.values():\n"
        "                    self._attempts.send(item.hot, start)\n"
        "            try:\n                refusals = await self._written(",
        (
            f"{NODE_TESTS}/test_commit.py::test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed",
            f"{PERMUTED}[commit-cancel]",
        ),
    ),
    Bug(
        25,
        "key-of-attempt",
        "core/engine/node/attempts.py",
        "idempotency_key=idempotency_key(hot.id, effect.task_path),",
        'idempotency_key=idempotency_key(hot.id, f"{effect.task_path}#{effect.number}"),',
        (
            f"{NODE_TESTS}/test_recovery.py::test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key",
            "tests/unit/sdk/test_seeds.py::test_no_seed_breaks_an_invariant_whatever_faults_come_together",
        ),
    ),
    Bug(
        26,
        "young-instance",
        "core/engine/node/engine_node.py",
        "                if row.seq and self._table.get(row.id) is None",
        "                if row.seq > 3 and self._table.get(row.id) is None",
        (f"{NODE_TESTS}/test_recovery.py::test_second_node_takes_the_shards_of_a_killed_one_within_its_lease",),
    ),
    Bug(
        27,
        "timers-of-others",
        "core/engine/node/engine_node.py",
        "        self._timers.reread()\n        self._inbox.wake()\n",
        "        self._inbox.wake()\n",
        (f"{NODE_TRACES}::test_timer_of_a_killed_node_fires_at_its_successor",),
    ),
    Bug(
        28,
        "early-repeat",
        "core/engine/node/marks.py",
        "        first.repeats.append(given)\n",
        "        from core.engine.node.terms import Started\n"
        "        from core.engine.statuses import INSTANCE_QUEUED\n"
        "        given.resolve(Started(first.instance_id, True, INSTANCE_QUEUED))\n",
        (f"{TRACES}::test_m6_repeat_of_a_key_is_not_answered_before_the_start_is_durable",),
    ),
    Bug(
        29,
        "cancel-answer",
        "core/engine/node/decider.py",
        "hot.status is INSTANCE_CANCELLED\n",
        "hot.status is not INSTANCE_CANCELLED\n",
        (f"{NODE_TESTS}/test_commit.py::test_command_for_an_ended_foreign_or_missing_instance_says_so",),
        is_rare=True,
    ),
    Bug(
        30,
        "place-of-values",
        "core/engine/node/item.py",
        "        return (PayloadRow(self.hot.id, first, 0,",
        "        return (PayloadRow(self.hot.id, first + 1, 0,",
        (f"{NODE_TESTS}/test_parts.py::test_values_of_one_commit_lie_end_to_end_in_a_row",),
    ),
    Bug(
        31,
        "inbox-row",
        "core/engine/node/item.py",
        "            self.inbox.append(given.inbox.n)\n",
        "            self.inbox.clear()\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_start_stored_by_another_node_runs_and_its_row_is_gone",),
    ),
    Bug(
        34,
        "forgotten-doubt",
        "core/engine/node/finish.py",
        "        if is_unknown or given.is_unsure:\n",
        "        if is_unknown:\n",
        (f"{NODE_TRACES}::test_start_whose_commit_had_no_answer_is_never_said_to_have_started_nothing",),
        is_rare=True,
    ),
    Bug(
        35,
        "uncharged-retries",
        "core/executor/retry_budget.py",
        "        account.tokens -= taken.began\n",
        "        account.tokens -= 0\n",
        (
            f"{RETRY_TRACES}::test_r25_operator_that_fails_every_second_call_gets_a_fifth_more_calls_beside_the_reserve",
            f"{RETRY_TRACES}::test_r25_retries_that_fell_due_while_no_node_ran_do_not_storm",
        ),
        is_rare=True,
    ),
    Bug(
        38,
        "told-to-the-ended",
        "driven_adapters/sqlite/ingest.py",
        "        if found and found[0][3] not in TERMINAL_STATUSES:\n",
        "        if found:\n",
        ("tests/contract/test_passed_on.py::test_s29_command_reaches_an_instance_that_has_not_ended[sqlite-failed]",),
        is_rare=True,
    ),
    Bug(
        42,
        "above-own-bound",
        "driven_adapters/memory/permits.py",
        "            if len(rows) - len(waiting) >= first.most:\n",
        "            if len(rows) - len(waiting) >= max(row.most for row in rows.values()):\n",
        (
            f"{GATE_TRACES}::test_m12_release_hands_nothing_on_above_the_bound_of_the_one_that_waits",
            f"{PERMITS}::test_release_grants_nothing_above_the_bound_of_who_waits_first[memory]",
        ),
        is_rare=True,
    ),
    Bug(
        43,
        "wait-unchecked",
        "driven_adapters/memory/permits.py",
        '        if act.kind != "take":\n',
        '        if act.kind == "displace":\n',
        (
            f"{GATE_TRACES}::test_m10_wait_that_comes_beside_a_free_permit_is_granted_it",
            f"{PERMITS}::test_wait_beside_a_free_permit_is_granted_it_at_once[memory]",
        ),
        is_rare=True,
    ),
    Bug(
        44,
        "accepted-unseen",
        "driven_adapters/memory/ingest.py",
        "    if item.seeks is not None and not has_free(draft, item.seeks):\n",
        "    if item.seeks is not None and item.start_key is None and not has_free(draft, item.seeks):\n",
        (
            f"{GATE_TRACES}::test_s46_reject_is_the_same_answer_at_a_node_that_does_not_own_the_instance",
            f"{PERMITS}::test_start_that_seeks_a_permit_is_stored_only_where_one_is_free[memory-held]",
        ),
        is_rare=True,
    ),
    Bug(
        45,
        "refused-and-landing",
        "core/engine/node/passing.py",
        '                if stored.status != "full" or not is_unknown:\n                    return stored\n',
        "                return stored\n",
        (f"{GATE_TRACES}::test_s46_start_that_may_yet_land_is_not_said_to_be_refused",),
        is_rare=True,
    ),
    Bug(
        46,
        "look-lost-at-a-gate",
        "core/engine/node/committer.py",
        "            if hot.row is None and not kept:\n",
        "            if not kept:\n",
        (f"{GATE_TRACES}::test_look_that_is_refused_at_a_gate_is_taken_again",),
        is_rare=True,
    ),
    Bug(
        47,
        "landed-and-refused",
        "core/engine/node/committer.py",
        "        if item.hot.row is not None or all(given.request is None for given, _ in item.inputs):\n",
        "        if all(given.request is None for given, _ in item.inputs):\n",
        (f"{NODE_TESTS}/test_fates.py::test_start_that_landed_is_not_refused_with_a_later_commit_of_its_instance",),
        is_rare=True,
    ),
    Bug(
        48,
        "unsure-and-anew",
        "core/engine/node/decider.py",
        "        if given.request is not None and not given.is_unsure:\n",
        "        if given.request is not None:\n",
        (f"{NODE_TRACES}::test_start_that_landed_is_not_decided_anew_when_its_instance_has_left_memory",),
        is_rare=True,
    ),
    Bug(
        49,
        "cut-off-and-refused",
        "core/engine/node/committer.py",
        "        except FlowError:\n            self.is_committing = False\n",
        "        except BaseException:\n            self.is_committing = False\n",
        (
            f"{NODE_TRACES}::test_start_whose_commit_outlasts_the_grace_of_a_drain_is_never_said_to_have_started_nothing",
        ),
        is_rare=True,
    ),
    Bug(
        61,
        "unsynced-commit",
        "driven_adapters/sqlite/writer.py",
        '        connection.pragma("synchronous", "full")\n',
        '        connection.pragma("synchronous", "normal")\n',
        ("tests/chaos/test_crash_images.py::test_power_cut_anywhere_loses_nothing_acknowledged",),
        is_rare=True,
    ),
    Bug(
        62,
        "retried-sync",
        "driven_adapters/sqlite/faults.py",
        "    (apsw.IOError, StoreBroken),\n",
        "    (apsw.IOError, StoreUnavailable),\n",
        (f"{DISK_FAULTS}[sync]",),
        is_rare=True,
    ),
    Bug(
        63,
        "standing-time",
        "core/engine/node/moment.py",
        "        wall = self._clock.now()\n"
        "        passed = timedelta(seconds=self._clock.monotonic())\n"
        "        self._begin = max(self._begin, wall - passed)\n"
        "        return self._begin + passed\n",
        "        self._begin = max(self._begin, self._clock.now())\n        return self._begin\n",
        (f"{NODE_TESTS}/test_parts.py::test_time_of_decisions_goes_on_after_the_wall_clock_went_back",),
        is_rare=True,
    ),
    Bug(
        64,
        "full-is-unavailable",
        "driven_adapters/sqlite/faults.py",
        "    (apsw.FullError, StoreFull),\n",
        "    (apsw.FullError, StoreUnavailable),\n",
        (f"{DISK_FAULTS}[full once]",),
        is_rare=True,
    ),
    Bug(
        65,
        "no-grace",
        "core/engine/node/engine_node.py",
        "        deadline = self._clock.monotonic() + self._settings.grace_s\n",
        "        deadline = self._clock.monotonic()\n",
        (f"{NODE_TESTS}/test_recovery.py::test_drain_commits_running_attempts_starts_none_and_hands_over_at_once",),
        is_rare=True,
    ),
    Bug(
        66,
        "answer-of-another",
        "driven_adapters/http/pool.py",
        "        if not connection.is_idle() or _has_more(connection):\n",
        "        if not connection.is_idle():\n",
        (f"{EGRESS}::test_answer_that_nobody_asked_for_is_not_taken_for_that_of_the_next_request",),
        is_rare=True,
    ),
)
