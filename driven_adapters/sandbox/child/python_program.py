"""`python`: a function in the language of this interpreter, called with the inputs as keyword arguments."""

from __future__ import annotations

import linecache
import sys
import traceback
from typing import Any

from .value import LineStream, ProgramFailed

FILE_NAME = "<step>"


def run(request: dict[str, Any], lines: LineStream) -> Any:
    """Execute the code and call its function.

    Raises:
        ProgramFailed: the code cannot be read, has no such function, raised, or ran out of memory.
    """
    code, entry = request["code"], request["entry"]
    linecache.cache[FILE_NAME] = (len(code), None, code.splitlines(keepends=True), FILE_NAME)
    sys.stdout = lines
    names: dict[str, Any] = {"__name__": "__step__", "__builtins__": __builtins__}
    try:
        compiled = compile(code, FILE_NAME, "exec", dont_inherit=True)
        exec(compiled, names)  # noqa: S102 - the purpose of this process, which is confined by now
        function = names.get(entry)
        if not callable(function):
            raise ProgramFailed("invalid", f"the code defines no function {entry}")  # noqa: TRY301 - one way out
        return function(**request["inputs"])
    except ProgramFailed:
        raise
    except MemoryError:
        names.clear()  # room for the answer
        limit = request["memory_mib"]
        raise ProgramFailed("memory", f"more than {limit} MiB of memory were asked for", limit) from None
    except SyntaxError as error:
        if error.filename == FILE_NAME:
            raise ProgramFailed("invalid", f"line {error.lineno}: {error.msg}") from None
        raise _raised(error) from None
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, its own exit included
        raise _raised(error) from None


def _raised(error: BaseException) -> ProgramFailed:
    _show(error)
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - also this is foreign code
        text = "(its text cannot be read)"
    name = type(error).__name__
    return ProgramFailed("raised", f"{name}: {text}" if text else name)


def _show(error: BaseException) -> None:
    """Write the traceback from the program's first frame on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILE_NAME:
        frames = frames.tb_next
    try:
        traceback.print_exception(type(error), error, frames, limit=50, file=sys.stderr)
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001, S110 - a message about an error that cannot be shown helps nobody
        pass
