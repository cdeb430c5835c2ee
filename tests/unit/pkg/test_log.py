"""Log lines: one per record, whatever is in them, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pkg.log import set_up_logging
from pkg.redaction import Redactor

HOSTILE = 'a\r\nb\x1b[31mc\u2028d\u202ee\x00f"g'
CANARY = "correct-horse"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the process its logging back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def _lines(form: Any, level: Any = "info") -> io.StringIO:
    stream = io.StringIO()
    set_up_logging(level, form, Redactor([CANARY]), stream)
    return stream


def test_hostile_texts_make_one_ascii_json_line_each() -> None:
    stream = _lines("json")
    structlog.get_logger("x").info(HOSTILE, field=HOSTILE)
    logging.getLogger("library").warning("%s", HOSTILE, extra={"field": HOSTILE})
    lines = stream.getvalue().splitlines()
    assert 2 == len(lines)
    for line in lines:
        assert line.isascii()
        assert (HOSTILE, HOSTILE) == (json.loads(line)["event"], json.loads(line)["field"])


def test_hostile_texts_make_one_printable_line_each_for_a_person() -> None:
    stream = _lines("text")
    structlog.get_logger("x").info(HOSTILE, field=HOSTILE)
    line, end = stream.getvalue().split("\n")
    assert "" == end
    assert line.isprintable()


def test_secrets_are_masked_in_events_fields_and_traces() -> None:
    for form in ("json", "text"):
        stream = _lines(form)
        structlog.get_logger("x").error(CANARY, deep={"a": [CANARY]}, exc_info=ValueError(CANARY))
        logging.getLogger("library").error("%s", CANARY)
        assert CANARY not in stream.getvalue()
        assert "ValueError: ***" in stream.getvalue()


def test_lines_below_the_level_and_of_loud_libraries_are_left_out() -> None:
    stream = _lines("json", "info")
    structlog.get_logger("x").debug("quiet")
    logging.getLogger("uvicorn.access").info("GET /")
    assert "" == stream.getvalue()
