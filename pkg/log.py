"""Logging set-up: one JSON object per line (or aligned text for a person), bounded, secrets masked by value.

Every line of the process goes this way: its own, the libraries', warnings, and exceptions that nobody caught.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any, Literal, TextIO

import structlog

from pkg.log_line import bounded_fields, json_line, text_line
from pkg.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
Place = tuple[Callable[[Any], Mapping[str, Any]], Any]
"""Where work is being done: a function from a subject to log fields, and the subject."""

_LIBRARIES_LOUD = (
    "uvicorn.access",
    "httpx2",
    "httpcore2",
    "asyncio",
    "urllib3",
)  # their info lines repeat what we count ourselves
_place: ContextVar[Place | None] = ContextVar("flow_log_place", default=None)
_process_log = structlog.get_logger("process")


def enter_place(describe: Callable[[Any], Mapping[str, Any]], subject: Any) -> Token[Place | None]:
    """Have the lines written from here on say where they come from.

    The fields are made when a line is written, so work that writes none pays for one variable only.

    Args:
        describe: gives the fields of `subject`, of which it may keep nothing; fields of the line itself win.

    Returns:
        What `leave_place` takes to undo it.
    """
    return _place.set((describe, subject))


def leave_place(token: Token[Place | None]) -> None:
    """Undo an `enter_place` of the same context."""
    _place.reset(token)


def set_up_logging(
    level: Level, form: Literal["json", "text"], redactor: Redactor, stream: TextIO | None = None
) -> None:
    """Send every log line of this process, the libraries' included, as `form` to `stream` (standard error).

    JSON lines are ASCII: line breaks, escapes and bidirectional marks of foreign texts arrive escaped (S-18).
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _placed,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _masked_by(redactor),
        _bounded,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                json_line if form == "json" else text_line,
            ],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(number)
    logging.captureWarnings(capture=True)
    for name in _LIBRARIES_LOUD:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    _take_uncaught()


def _take_uncaught() -> None:
    """Log what nobody caught: the interpreter would print it as it is, secrets and line breaks included."""

    def uncaught(kind: type[BaseException], fault: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        _process_log.critical("exception that nobody caught", exc_info=(kind, fault, trace))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        name = "" if given.thread is None else given.thread.name
        fault = (given.exc_type, given.exc_value, given.exc_traceback)
        _process_log.critical("thread ended by an exception", thread=name, exc_info=fault)

    def unraisable(given: Any) -> None:
        fault = (given.exc_type, given.exc_value, given.exc_traceback)
        _process_log.error("exception that could not be raised", said=given.err_msg, of=given.object, exc_info=fault)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable


def _placed(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    place = _place.get()
    if place is not None:
        describe, subject = place
        for key, value in describe(subject).items():
            event.setdefault(key, value)
    return event


def _masked_by(redactor: Redactor) -> Any:
    def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # structlog's own entries (the record of a foreign line) are objects it needs as they are.
        return {
            key if key.startswith("_") else redactor.text(key): value if key.startswith("_") else redactor.value(value)
            for key, value in event.items()
        }

    return mask


def _bounded(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return bounded_fields(event)
