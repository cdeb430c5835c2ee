"""The life of a run's process: wait for the request, give up what is not needed, run the program, tell its end.

Started by the engine as `python -I -S -c "..."`; standard input and output are pipes of frames, standard error is text.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from . import confine
from .frames import BEGIN, FAILURE, LINE, REQUEST, VALUE, FrameWriter, read_frame
from .value import LineStream, ProgramFailed, encode_value

TIER_PURE = 1
_DESCRIPTOR_COUNT_MAX = 4096


def serve(parent: int, ahead: str = "", kernel: confine.Kernel | None = None) -> None:
    """Serve one request from standard input, then end.

    Args:
        parent: number of the process that started this one; 0 = it is not to be seen from here.
        ahead: folder of the packages for tier 1, whose import takes longer than all else; done before a request comes.
        kernel: for tests.
    """
    kernel = kernel or confine.open_kernel()
    confine.die_with_parent(kernel, parent)
    frames = FrameWriter(_take_over_output())
    if ahead:
        sys.path.insert(0, ahead)
        importlib.import_module(".pure_program", __package__).load()
    try:
        kind, content = read_frame(sys.stdin.buffer)
    except EOFError:
        return
    if kind != REQUEST:
        return
    request: dict[str, Any] = json.loads(content)
    del content
    _end_input()
    answer(request, frames, lambda program: _confine(kernel, request, parent, program))


def answer(request: dict[str, Any], frames: FrameWriter, confine_for: Callable[[Any], None]) -> None:
    """Run a request's program after it was confined, and write what it gave."""
    lines = LineStream(lambda line: frames.write(LINE, line.encode("utf-8", "backslashreplace")))
    try:
        program = _program(request)
        confine_for(program)
        frames.write(BEGIN)
        value = program.run(request, lines)
        lines.end()
        frames.write(VALUE, encode_value(value, request["output_bytes"]))
    except ProgramFailed as failure:
        lines.end()
        frames.write(FAILURE, failure.content())
    except MemoryError:
        limit = request["memory_mib"]
        message = f"more than {limit} MiB of memory were asked for"
        frames.write(FAILURE, ProgramFailed("memory", message, limit).content())
    except (confine.ConfinementFailed, OSError, ImportError) as error:
        message = f"the process could not be made ready: {type(error).__name__}: {error}"
        frames.write(FAILURE, ProgramFailed("unavailable", message).content())


def _program(request: dict[str, Any]) -> Any:
    """Import the program's module from beside this one, with the libraries that it needs, while files can be read."""
    sys.path[:0] = [folder for folder in request["libraries"] if folder not in sys.path]
    is_pure = request["program"] == "python" and request["tier"] == TIER_PURE
    module = importlib.import_module(f".{'pure' if is_pure else request['program']}_program", __package__)
    load = getattr(module, "load", None)
    if load is not None:
        load()
    return module


def _confine(kernel: confine.Kernel, request: dict[str, Any], parent: int, program: Any) -> None:
    del program
    confine.must_be_alone()
    os.chdir(request["folder"])
    confine.limit_resources(request["limits"])
    if request["uid"] is not None:
        confine.drop_user(kernel, request["uid"], keeps_reading=request["keeps_reading"])
        confine.die_with_parent(kernel, parent)
    confine.refuse_privileges(kernel)
    if request["restricts_files"]:
        confine.restrict_files(kernel, request["reads"], request["writes"], request["executes"])
    if request["filters_calls"]:
        confine.filter_calls(kernel)


def _take_over_output() -> int:
    """Keep the pipe of frames under another number; what writes to standard output without us goes with the errors."""
    kept = os.dup(1)
    os.dup2(2, 1)
    os.closerange(kept + 1, _DESCRIPTOR_COUNT_MAX)
    return kept


def _end_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
