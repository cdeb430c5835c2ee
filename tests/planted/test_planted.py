"""Every planted bug is seen by the tests that it names, and those tests pass where no bug is planted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.planted import planting

PATCHES = planting.read_patches()
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
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[str]]]]:
    """Plant every bug in a copy of its own, two at a time: each waits for programs of its own."""

    def survivors(patch: planting.Planted) -> list[str]:
        tree = planting.copy_tree(planting.ROOT, tmp_path_factory.mktemp(patch.name))
        planting.plant(patch, tree)
        return planting.survivors(patch, tree)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {patch.name: pool.submit(survivors, patch) for patch in PATCHES}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_planted_bug_in_a_copy_fails_the_tests_it_names(
    patch: planting.Planted, tried: dict[str, Future[list[str]]]
) -> None:
    assert [] == tried[patch.name].result()
