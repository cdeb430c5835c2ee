"""Titles: which a DAG may have, and ones to propose (dag-language.md 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.dag.grammar import TITLE_CHARACTERS_MAX

TITLE_DEFAULT = "New DAG"
# People number copies by hand up to a few; who has more gets a title that is free for certain.
NUMBERS_COUNT_MAX = 20
_NOT_ALLOWED = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


def free_titles(title: str, unique: str) -> Iterator[str]:
    """Propose titles like the one that is wished for: itself, numbered ones, and one with `unique` in it at the end.

    Characters that a title may not have become blanks; what is too long is cut.
    """
    wish = " ".join(_NOT_ALLOWED.sub(" ", title).split())[:TITLE_CHARACTERS_MAX].strip() or TITLE_DEFAULT
    yield wish
    for suffix in [*map(str, range(2, NUMBERS_COUNT_MAX + 1)), unique]:
        yield f"{wish[: TITLE_CHARACTERS_MAX - len(suffix) - 1]} {suffix}"
