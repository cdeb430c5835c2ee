"""What may go wrong in a simulated run, by seed or at a named place."""

from __future__ import annotations

import re

import msgspec

_POINT = re.compile(r"(before|after)_commit:([1-9][0-9]{0,8})")


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Faults of one simulation; all zero = none.

    Attributes:
        crash_at: `before_commit:N` and `after_commit:N`: the process is killed as by kill -9 when its store was asked
            for the N-th commit of the simulation, before anything of it landed, or after all of it landed and before
            anybody heard of it. It is started again after `restart_s`.
        crash_share: share of commits that meet one of the two by chance, at most `crashes_max` of them.
        lost_answer_share: share of commits whose answer is lost: half of them landed, half never will; at most
            `lost_answers_max` of them.
        duplicate_share: share of outcomes that arrive a second time, up to `duplicate_delay_s` later.
    """

    crash_at: tuple[str, ...] = ()
    crash_share: float = 0.0
    crashes_max: int = 6  # the engine gives a task up when 8 of its attempts in a row were lost with their process
    lost_answer_share: float = 0.0
    lost_answers_max: int = 20
    duplicate_share: float = 0.0
    duplicate_delay_s: float = 5.0
    restart_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuse points and shares that mean nothing."""
        for point in self.crash_at:
            if not _POINT.fullmatch(point):
                raise ValueError(f"{point!r} is neither before_commit:N nor after_commit:N")
        for name in ("crash_share", "lost_answer_share", "duplicate_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share, 0 to 1")


NO_FAULTS = Faults()
