"""The drawing of task states in ARCHITECTURE.md is the transition table (dag-language.md 6)."""

from __future__ import annotations

from pathlib import Path

from core.engine.transitions import TASK_MOVES

DOCUMENT = Path(__file__).parents[2] / "ARCHITECTURE.md"


def drawing() -> str:
    """Draw the table: one line per arrow, named by its event."""
    lines = [
        f"{source.name.lower():>9} -> {target.name.lower():<9}  {event.__name__}"
        for event, (sources, target) in TASK_MOVES.items()
        for source in sorted(sources)
    ]
    return "\n".join(sorted(lines))


def test_drawing_in_the_document_is_generated_from_the_table() -> None:
    shown = DOCUMENT.read_text().partition("<!-- transitions -->\n```\n")[2].partition("\n```")[0]
    assert drawing() == shown
