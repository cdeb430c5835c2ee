"""One bug that may be planted, and the patch that it becomes."""

from __future__ import annotations

import dataclasses
import difflib

from tests.planted.planting import FAILS_PREFIX, ROOT

SEEDS = "tests/sim/test_seeds.py::test_seeds_break_no_invariant_and_heal[0]"


@dataclasses.dataclass(frozen=True)
class Bug:
    """One bug: where, what stands there, what would be wrong there, and the tests that see it.

    Attributes:
        right: stands exactly once in the file. more: further texts of the same file and what replaces them.
        is_rare: too few seeds of the simulation meet it; otherwise they see it beside the tests named here.
    """

    number: int
    name: str
    path: str
    right: str
    wrong: str
    fails: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()
    is_rare: bool = False

    @property
    def file_name(self) -> str:
        """Give the name of its patch."""
        return f"{self.number:02d}-{self.name}.patch"

    def patch(self) -> str:
        """Make the text of a patch.

        Raises:
            ValueError: a right text does not stand exactly once in the file.
        """
        text = changed = (ROOT / self.path).read_text("utf-8")
        for right, wrong in ((self.right, self.wrong), *self.more):
            if text.count(right) != 1:
                raise ValueError(f"{self.name}: {right!r} stands {text.count(right)} times in {self.path}")
            changed = changed.replace(right, wrong)
        diff = difflib.unified_diff(
            text.splitlines(keepends=True), changed.splitlines(keepends=True), f"a/{self.path}", f"b/{self.path}"
        )
        # What too few seeds meet has a trace of its own, which plays it each time.
        named = "".join(f"{FAILS_PREFIX} {node_id}\n" for node_id in (*self.fails, *(() if self.is_rare else (SEEDS,))))
        return f"{named}diff --git a/{self.path} b/{self.path}\n{''.join(diff)}"
