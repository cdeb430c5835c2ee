"""Cursors go back to the list that gave them, unchanged, or are refused."""

from __future__ import annotations

import pytest

from pkg.cursor import CURSOR_CHARACTERS_MAX, CursorRefused, read_cursor, write_cursor


@pytest.mark.parametrize("place", ["", "01JD3V6Q0R5M9T8W7X2Y4Z1A3B", "a/b/#3", "ü" * 100])
def test_place_comes_back(place: str) -> None:
    assert place == read_cursor("dags", write_cursor("dags", place), str)


def test_every_changed_character_is_noticed() -> None:
    text = write_cursor("dags", "01JD3V6Q0R5M9T8W7X2Y4Z1A3B")
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(CursorRefused):
            read_cursor("dags", changed, str)


@pytest.mark.parametrize("text", ["", "A", "!!", "AAAA AAAA", "é", "A" * (CURSOR_CHARACTERS_MAX + 1)])
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorRefused):
        read_cursor("dags", text, str)


def test_cursor_of_another_list_or_shape_is_refused() -> None:
    with pytest.raises(CursorRefused):
        read_cursor("instances", write_cursor("dags", "x"), str)
    with pytest.raises(CursorRefused):
        read_cursor("dags", write_cursor("dags", "x"), int)
