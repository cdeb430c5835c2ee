"""Power cuts at a thousand places: what was acknowledged is there, and the store is sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.trace.file import read_trace
from tests.budget import length
from tests.chaos import crash_images
from tests.chaos.crash_images import Sync, run_crash_images, show
from tests.chaos.recording_disk import Cut, Deleted, Platter, Step, Synced, Written
from tests.sim.chance import derived

CONTROL_IMAGE_COUNT = 100


@pytest.mark.timeout(1800)
def test_power_cut_anywhere_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    tally = run_crash_images(tmp_path, seed=seed, image_count=length("crash_image_count"))

    assert show(tally, seed=seed)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sync", ["normal", "off"])
def test_store_that_does_not_wait_for_its_disk_is_seen_to_lose_what_was_acknowledged(
    tmp_path: Path, seed: int, sync: Sync
) -> None:
    tally = run_crash_images(
        tmp_path, seed=seed, image_count=CONTROL_IMAGE_COUNT, sync=sync, finished_every=0,
        traces_folder=tmp_path / "traces",
    )  # fmt: skip

    assert tally.lost > 0


@pytest.mark.timeout(300)
def test_image_without_what_was_acknowledged_leaves_traces_of_just_that(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_images, "_is_kept", lambda _store, one: one.what != "ended")  # the planted loss
    out = tmp_path / "traces"
    tally = run_crash_images(tmp_path, seed=seed, image_count=20, finished_every=0, traces_folder=out)
    written = [read_trace(path.read_bytes()).instance_id for path in tally.traces]

    assert tally.lost > 0
    assert len(written) > 0
    assert [] == [one for one in written if not any(f"lost ended {one}" in fault for fault in tally.faults)]


class TestPlatter:
    """Images are built from what was synced and a part of what was not."""

    def images(self, steps: list[Step], seed: int) -> list[dict[str, bytes]]:
        platter = Platter(steps)
        platter.move_to(len(steps))
        rng = derived(seed, "platter")
        return [platter.image(rng) for _ in range(200)]

    def test_what_was_synced_is_in_every_image(self, seed: int) -> None:
        steps: list[Step] = [Written("a", 0, b"x" * 600), Synced("a"), Written("a", 0, b"y" * 512)]
        images = self.images(steps, seed)

        assert {b"x" * 88} == {image["a"][512:] for image in images}
        assert {b"x" * 512, b"y" * 512} < {image["a"][:512] for image in images}

    def test_sync_of_one_file_keeps_nothing_of_another(self, seed: int) -> None:
        images = self.images([Written("a", 0, b"x"), Written("b", 0, b"y"), Synced("b")], seed)

        assert {True, False} == {"a" in image for image in images}
        assert {b"y"} == {image["b"] for image in images}

    def test_later_sector_may_be_there_without_an_earlier_one(self, seed: int) -> None:
        images = self.images([Written("a", 0, b"x" * 1024)], seed)

        assert bytes(512) + b"x" * 512 in {image.get("a") for image in images}

    def test_cut_and_deletion_may_be_lost(self, seed: int) -> None:
        images = self.images([Written("a", 0, b"x" * 9), Synced("a"), Cut("a", 0), Deleted("a")], seed)

        assert {b"x" * 9, b"", None} == {image.get("a") for image in images}
