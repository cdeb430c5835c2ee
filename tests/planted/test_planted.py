"""Every planted bug is seen by the tests that it names, and those tests pass where no bug is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted import planting

PATCHES = planting.read_patches()


@pytest.mark.timeout(1800)
def test_named_tests_in_a_sound_copy_pass(tmp_path: Path) -> None:
    named = sorted({node_id for patch in PATCHES for node_id in patch.fails})
    done = planting.run_tests(named, planting.copy_tree(planting.ROOT, tmp_path))

    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_planted_bug_in_a_copy_fails_the_tests_it_names(patch: planting.Planted, tmp_path: Path) -> None:
    tree = planting.copy_tree(planting.ROOT, tmp_path)
    planting.plant(patch, tree)

    assert [] == planting.survivors(patch, tree)
