"""Logging set-up: one JSON object per line (or aligned text for a person), secrets masked by value."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from pkg.redaction import Redactor

Level = Literal["debug", "info", "warning", "error"]
_LIBRARIES_LOUD = (
    "uvicorn.access",
    "httpx2",
    "httpcore2",
    "asyncio",
)  # their info lines repeat what we count ourselves


def set_up_logging(
    level: Level, form: Literal["json", "text"], redactor: Redactor, stream: TextIO | None = None
) -> None:
    """Send every log line of this process, the libraries' included, as `form` to `stream` (standard error).

    JSON lines are ASCII: line breaks, escapes and bidirectional marks of foreign texts arrive escaped (S-18).
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _masked_by(redactor),
    ]
    renderer = _renderer(form)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(number)
    for name in _LIBRARIES_LOUD:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )


def _renderer(form: Literal["json", "text"]) -> Any:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=True, default=repr)
    return _text_line


def _masked_by(redactor: Redactor) -> Any:
    def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            # structlog's own entries (the record of a foreign line) are objects it needs as they are.
            if not key.startswith("_"):
                event[key] = redactor.value(value)
        return event

    return mask


def _text_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Render for a person: time, level, event, then the fields; no value can start a line of its own."""
    at, level, said = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
    fields = " ".join(f"{key}={_shown(value)}" for key, value in sorted(event.items()) if key != "exception")
    line = f"{at} {level:<8}{_shown(said)}{' ' if fields else ''}{fields}"
    return f"{line}\n{event['exception']}" if "exception" in event else line


def _shown(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
