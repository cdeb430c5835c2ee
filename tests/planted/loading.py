"""Bugs that a load shows: a figure of tests/load falls short, or what one of them found comes back."""

from __future__ import annotations

from tests.planted.bug import Bug

NODE_TESTS = "tests/unit/engine_node"
LOAD = "tests/load/test_figures.py::test_figure_of_load_holds"

BUGS = (
    Bug(
        71,
        "kept-in-memory",
        "core/engine/node/hot.py",
        "        while self._idle and len(self._hot) > hot_max:\n",
        "        while self._idle and len(self._hot) > 100 * hot_max:\n",
        (f"{LOAD}[F13]",),
        is_rare=True,
    ),
    Bug(
        72,
        "buffer-per-attempt",
        "core/engine/node/attempts.py",
        "        parameters = await self._resolve(hot, effect)\n",
        '        parameters, _buffer = await self._resolve(hot, effect), b"x" * 65_536\n',
        (f"{LOAD}[F14]",),
        is_rare=True,
    ),
    Bug(
        73,
        "commit-per-item",
        "core/engine/node/batch.py",
        "            len(self._items) >= bounds.items_max\n",
        "            len(self._items) >= min(1, bounds.items_max)\n",
        (f"{LOAD}[F15]",),
        is_rare=True,
    ),
    Bug(
        74,
        "polled-intake",
        "core/engine/node/decider.py",
        "            await self._intake.arrived.wait()\n",
        "            while not self._intake.arrived.is_set():\n                await asyncio.sleep(0.15)\n",
        (f"{LOAD}[F16]",),
        is_rare=True,
    ),
    Bug(
        75,
        "one-line-for-all",
        "core/engine/node/places.py",
        "        queue = self._waiting.get(hot.domain_id)\n"
        "        if queue is None:\n"
        "            queue = self._waiting[hot.domain_id] = []\n"
        "            self._turns.append(hot.domain_id)\n",
        '        queue = self._waiting.get("")\n'
        "        if queue is None:\n"
        '            queue = self._waiting[""] = []\n'
        '            self._turns.append("")\n',
        (f"{LOAD}[F19]",),
        is_rare=True,
    ),
    Bug(
        76,
        "endless-line",
        "core/engine/node/places.py",
        "        if self.waiting_count < self._waiting_max:\n",
        "        if self.waiting_count < 1_000 * self._waiting_max:\n",
        (f"{LOAD}[F20]",),
        is_rare=True,
    ),
    Bug(
        77,
        "place-past-the-line",
        "core/engine/node/decider.py",
        "        room = self._places.room_for(hot, type(given.stimulus) is Dispatch)\n",
        "        room = self._places.room\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_instance_with_many_ready_tasks_takes_no_place_past_another_domain",),
        is_rare=True,
    ),
)
