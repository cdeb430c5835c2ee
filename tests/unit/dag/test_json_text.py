"""JSON texts that the decoder refuses without saying where: the reader finds the place itself, in linear time."""

from __future__ import annotations

import sys

import pytest

from core.dag.document import JSON_BYTES_MAX
from core.dag.json_text import read_json
from core.dag.syntax import DEPTH_MAX, SyntaxFault

ENDS = "not valid JSON: the text ends too early"
LONE = "not valid JSON: a lone surrogate in a text"
RANGE = "not valid JSON: a number out of range"


def fault(text: str) -> tuple[str, int, int]:
    """Read a text that is no JSON; give the sentence, the line and the column."""
    with pytest.raises(SyntaxFault) as caught:
        read_json(text)
    return caught.value.message, caught.value.line, caught.value.column


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((LONE, 1, 2), r'["\ud800"]'),
        ((LONE, 1, 2), r'["\ud800\n"]'),
        ((LONE, 1, 11), r'["\\ud8", "\ud83d\ude00\ud800\\"]'),
        ((LONE, 2, 1), '[1e3,\n"\\udbff"'),
        ((RANGE, 1, 2), "[1e400]"),
        ((RANGE, 2, 3), '["1e400", -1.5e3,\n  -1.7976931348623159e308]'),
        ((RANGE, 1, 6), "[12, " + "9" * 5_000 + "]"),
    ],
)
def test_token_that_the_decoder_refuses_silently_is_found(expected: tuple[str, int, int], text: str) -> None:
    assert expected == fault(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "1e',
        '{"a": "x 1e400',
        '{"a": "99999999999999999999',
        '{"a": "[[{{ 7 }}]] \\" -1e400 ',
        '{"a": "\\ud800',
        '{"a": "\\ud8',
        '{"a": "\\',
        '{"a": "\\\\',
        '{"a": ["\\ud83d\\ude00", 1.5e3, 12',
        '{"a',
        "",
    ],
)
def test_text_cut_off_ends_too_early_whatever_its_last_string_holds(text: str) -> None:
    assert (ENDS, 1, len(text) + 1) == fault(text)


@pytest.mark.parametrize("part", ['\\"', "\\\\", '\\"1', "a", "1e"])
def test_string_cut_off_at_the_limit_of_a_document_is_looked_at_once(part: str) -> None:
    # A look at the rest of the text for each quote behind a backslash takes an hour here, not milliseconds.
    text = '{"a": "' + part * ((JSON_BYTES_MAX - 7) // len(part))
    assert (ENDS, 1, len(text) + 1) == fault(text)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (DEPTH_MAX + 1, "[" * 100_000),
        (DEPTH_MAX * len('{"a":') + 1, '{"a":' * 100_000),
        (DEPTH_MAX + 1, "[" * 500 + "]" * 500),
        (DEPTH_MAX + 1, "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)),
    ],
)
def test_text_nested_too_deep_is_refused_where_it_becomes_so(column: int, text: str) -> None:
    assert (f"values are nested deeper than {DEPTH_MAX}", 1, column) == fault(text)


def test_text_nested_far_too_deep_does_not_end_the_tracer() -> None:
    # The coverage of the pure core is asked for wholly: a tracer lost here would hide what runs after.
    seen: list[str] = []
    before = sys.gettrace()
    sys.settrace(lambda frame, _event, _argument: seen.append(frame.f_code.co_name))
    try:
        with pytest.raises(SyntaxFault):
            read_json("[" * 100_000)
        seen.clear()
        read_json("[]")
    finally:
        sys.settrace(before)
    assert "read_json" in seen
