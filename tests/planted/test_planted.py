"""Every planted bug is seen by the tests that it names, and those tests pass where no bug is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted import planting

PATCHES = planting.read_patches()


@pytest.fixture(scope="module")
def sound_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planting.copy_tree(planting.ROOT, tmp_path_factory.mktemp("sound"))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("node_id", sorted({node_id for patch in PATCHES for node_id in patch.fails}))
def test_named_test_in_a_sound_copy_passes(node_id: str, sound_tree: Path) -> None:
    done = planting.run_test(node_id, sound_tree)

    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_planted_bug_in_a_copy_fails_the_tests_it_names(patch: planting.Planted, tmp_path: Path) -> None:
    tree = planting.copy_tree(planting.ROOT, tmp_path)
    planting.plant(patch, tree)

    assert [] == planting.survivors(patch, tree)
