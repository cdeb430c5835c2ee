"""Regular expressions: RE2, whose time grows with the text only, never with the square or the power of it."""

from __future__ import annotations

import functools
from typing import Any, Final

import re2

from core.expression.value import ExpressionFailed, Fuel, cost_of_text, failed

# Longest pattern, and memory of one compiled pattern: keeps both time and memory of compiling to about a millisecond.
PATTERN_LENGTH_MAX: Final = 1024
PATTERN_MEMORY_BYTES_MAX: Final = 1 << 18
# Compiled patterns that are kept; 32 of them fill 16 MiB at the very worst, usual ones take kilobytes.
PATTERN_COUNT_MAX: Final = 32
# Fuel of compiling, beside one per instruction of the program.
COMPILE_WEIGHT: Final = 600
# Scanning a byte costs in proportion to the program where RE2 cannot keep its states (measured: 6 ns per instruction,
# levelling off at 500 ns): one more fuel per 64 bytes for each instruction, up to so many.
SCAN_WEIGHT_MAX: Final = 80
# Finding the groups inside of a match takes about twice as long per byte as finding the match.
GROUP_WEIGHT: Final = 2


class Pattern:
    """A compiled pattern and what scanning with it costs."""

    __slots__ = ("_finder", "_grouper", "_scan_weight", "size")

    def __init__(self, source: str) -> None:
        self._finder = _regex(source, has_groups=False)
        self._grouper = _regex(source, has_groups=True)
        self.size: int = self._finder.programsize
        self._scan_weight = min(self.size, SCAN_WEIGHT_MAX)

    def is_found(self, text: str, fuel: Fuel) -> bool:
        """Tell whether the pattern matches anywhere in a text."""
        fuel.burn(cost_of_text(text) * self._scan_weight)
        return self._finder.search(text) is not None

    def extract(self, text: str, fuel: Fuel) -> str | None:
        """Give the first group of the first match, the match without groups, None without a match."""
        fuel.burn(cost_of_text(text) * self._scan_weight)
        found = self._finder.search(text)
        if found is not None and self._grouper.groups:
            fuel.burn(cost_of_text(found[0]) * self._scan_weight * GROUP_WEIGHT)
            found = self._grouper.search(text)
        part: str | None = None if found is None else found[1 if self._grouper.groups else 0]
        return part


def _regex(source: str, *, has_groups: bool) -> Any:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY_BYTES_MAX
    options.log_errors = False
    options.never_capture = not has_groups
    try:
        return re2.compile(source, options)
    except re2.error:
        raise failed("the pattern is not a regular expression of RE2, or too large") from None


@functools.lru_cache(PATTERN_COUNT_MAX)
def _compile(source: str) -> Pattern:
    return Pattern(source)


def compile_pattern(source: str, fuel: Fuel) -> Pattern:
    """Compile a pattern; burns the same whether it is kept from before or not, so that fuel is reproducible.

    Raises:
        ExpressionFailed: not a pattern of RE2, or too long.
    """
    if len(source) > PATTERN_LENGTH_MAX:
        raise ExpressionFailed("limit", f"a pattern has at most {PATTERN_LENGTH_MAX} characters")
    fuel.burn(COMPILE_WEIGHT)
    pattern = _compile(source)
    fuel.burn(pattern.size)
    return pattern
