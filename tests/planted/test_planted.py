"""F04: every planted bug is seen by the tests that it names, soon, and those tests pass where no bug is planted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.budget import length
from tests.figures import figure
from tests.planted import planting
from tests.planted.planting import Meeting, Planted

PATCHES = planting.read_patches()
MEDIAN_S_MAX, SLOWEST_S_MAX = (round(seconds * 100 / length("planted_speed_percent")) for seconds in (10, 60))
AT_ONCE = 2  # the machine of a gate has two cores
LONG = (
    "tests/chaos/",
    "tests/load/",
    "tests/model/",
    "tests/sim/test_seeds.py",
)  # minutes each; the suite itself runs them where no bug is


@pytest.mark.timeout(1800)
def test_named_tests_in_a_sound_copy_pass(tmp_path: Path) -> None:
    named = sorted({node_id for patch in PATCHES for node_id in patch.fails if not node_id.startswith(LONG)})
    done = planting.run_tests(named, planting.copy_tree(planting.ROOT, tmp_path))

    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Meeting]]]:
    """Plant every bug in a copy of its own, two at a time: each waits for programs of its own."""

    def meet(patch: Planted) -> Meeting:
        tree = planting.copy_tree(planting.ROOT, tmp_path_factory.mktemp(patch.name))
        planting.plant(patch, tree)
        return planting.meet(patch, tree)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {patch.name: pool.submit(meet, patch) for patch in PATCHES}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_planted_bug_in_a_copy_fails_the_tests_it_names(patch: Planted, tried: dict[str, Future[Meeting]]) -> None:
    assert [] == tried[patch.name].result().missed


@pytest.mark.timeout(1800)
def test_planted_bugs_are_caught_soon(tried: dict[str, Future[Meeting]]) -> None:
    took = sorted((tried[patch.name].result().caught_s, patch.name) for patch in PATCHES)
    caught = [seconds for seconds, _ in took if seconds < math.inf]
    # What only a measure of load sees takes as long as that measure, whoever is at fault.
    loads = {patch.name for patch in PATCHES if all(node_id.startswith("tests/load/") for node_id in patch.fails)}
    slowest_s, slowest = max(entry for entry in took if entry[1] not in loads)
    median_s = statistics.median(seconds for seconds, _ in took)

    assert figure("F04 planted_bugs_caught_count", len(caught), f"= {len(PATCHES)}", len(caught) == len(PATCHES))
    assert figure("F04 caught_median_s", median_s, f"< {MEDIAN_S_MAX}", median_s < MEDIAN_S_MAX, n=len(PATCHES))
    assert figure(
        "F04 caught_max_s", slowest_s, f"< {SLOWEST_S_MAX}", slowest_s < SLOWEST_S_MAX,
        bug=slowest, beside_those_of_load=len(loads), longest_of_load_s=took[-1][0],
    )  # fmt: skip
