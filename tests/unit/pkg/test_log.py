"""Log lines: one per record, whatever is in them, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pkg.log import enter_place, leave_place, set_up_logging
from pkg.log_line import LINE_CHARS_MAX
from pkg.redaction import Redactor

HOSTILE = 'a\r\nb\x1b[31mc\u2028d\u202ee\x00f"g'
CANARY = "correct-horse"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the process its logging back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
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


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_that_a_process_can_say_holds_a_secret(form: str) -> None:
    stream = _lines(form, "debug")
    log = structlog.get_logger("x")
    fault = ValueError(CANARY)
    fault.add_note(f"note {CANARY}")

    def in_thread() -> None:
        raise fault

    class Odd:
        def __repr__(self) -> str:
            return CANARY

        def __del__(self) -> None:
            raise fault

    log.info(CANARY, **{CANARY: CANARY}, odd=[Odd()], raw=CANARY.encode(), nested={CANARY: {"a": (CANARY,)}})
    log.error("x", exc_info=ExceptionGroup(CANARY, [fault, OSError(2, CANARY, CANARY)]))
    log.info("x", stack_info=True)
    logging.getLogger("uvicorn.error").error("%s said %r", CANARY, {"token": CANARY}, exc_info=fault)
    logging.getLogger("uvicorn.error").error("x", extra={"given": CANARY, CANARY: 1})
    logging.getLogger("asyncio").error("Task exception was never retrieved %s", CANARY, exc_info=fault)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(CANARY, ResourceWarning, stacklevel=1)
    sys.excepthook(ValueError, fault, None)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    said = stream.getvalue()
    assert CANARY not in said
    assert 12 <= said.count("***")
    assert 6 == said.count("ValueError: ***")


def test_exceptions_that_nobody_caught_are_lines_of_the_log() -> None:
    stream = _lines("json")
    sys.excepthook(ValueError, ValueError("a\nb"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("t"), None, None)))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert ["exception that nobody caught", "thread ended by an exception"] == [line["event"] for line in lines]
    assert ["critical", "critical"] == [line["level"] for line in lines]


def test_lines_say_the_place_that_they_were_written_at() -> None:
    stream = _lines("json")
    asked: list[object] = []

    def describe(subject: dict[str, str]) -> dict[str, str]:
        asked.append(subject)
        return subject

    outer = enter_place(describe, {"trace_id": "t", "route": "/r"})
    assert [] == asked
    inner = enter_place(describe, {"instance": "i", "attempt": "1"})
    structlog.get_logger("x").info("in", attempt=2)
    logging.getLogger("library").warning("foreign")
    leave_place(inner)
    structlog.get_logger("x").info("out")
    leave_place(outer)
    structlog.get_logger("x").info("far")
    first, foreign, out, far = map(json.loads, stream.getvalue().splitlines())
    assert ("i", 2) == (first["instance"], first["attempt"])
    assert ("i", "1") == (foreign["instance"], foreign["attempt"])
    assert ("t", "/r", False) == (out["trace_id"], out["route"], "instance" in out)
    assert {"event", "level", "timestamp"} == set(far)


@pytest.mark.parametrize("text", ["x" * 100_000, "\x00" * 100_000, "\U0001f600" * 100_000])
def test_line_has_a_bound_whatever_is_said(text: str) -> None:
    stream = _lines("json")
    fields = {f"{'k' * 100}{number}": [text[:5_000]] * 10 for number in range(100)}
    log = structlog.get_logger("x")
    log.error(text, exc_info=ValueError(text + "the end"), **fields)
    log.error("short", one=text, two="kept")
    for line in stream.getvalue().splitlines():
        assert LINE_CHARS_MAX >= len(line)
        assert json.loads(line)["line_cut"]
    long, short = map(json.loads, stream.getvalue().splitlines())
    assert long["exception"].endswith("the end")
    assert ("short", "kept") == (short["event"], short["two"])


def test_secret_is_masked_before_its_line_is_cut() -> None:
    stream = _lines("json")
    for space in range(1_980, 2_001):
        structlog.get_logger("x").info("." * space + CANARY + "." * LINE_CHARS_MAX)
    assert CANARY[:4] not in stream.getvalue()
