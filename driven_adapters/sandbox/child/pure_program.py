"""`python` of tier 1: the same code in an interpreter that has no files, no network and no imports of the host.

The interpreter is a process of its own below this one; it inherits every limit.
"""

from __future__ import annotations

from typing import Any

from .value import LineStream, ProgramFailed

RECURSION_DEPTH_MAX = 500
SLEEP_S_MAX = 0.0  # pure code has nothing to wait for
_SCRIPT = "step.py"
_INPUTS = "flow_inputs"
_MEMORY_SHARE = 0.5  # of the run's memory is for values; the rest holds the interpreter and both ends of the pipe


def load() -> Any:
    """Import the interpreter's client; done before a program is there, since it takes most of the start."""
    import pydantic_monty  # noqa: PLC0415 - only this tier has it on its path

    return pydantic_monty


def run(request: dict[str, Any], lines: LineStream) -> Any:
    """Execute the code and call its function with the inputs.

    Raises:
        ProgramFailed: the code cannot be read, raised, or broke a limit.
    """
    monty = load()
    memory_bytes = int(request["memory_mib"] * 2**20 * _MEMORY_SHARE)
    limits = {
        "max_feed_duration_secs": float(request["limits"]["cpu_s"]),
        "max_memory": memory_bytes,
        "max_recursion_depth": RECURSION_DEPTH_MAX,
        "max_total_sleep_secs": SLEEP_S_MAX,
    }
    try:
        with (
            monty.Monty(binary_path=request["interpreter"], min_processes=1, max_processes=1) as pool,
            pool.checkout(script_name=_SCRIPT, limits=limits) as session,
        ):
            told = {"print_callback": lambda _stream, text: lines.write(text)}
            session.feed_run(request["code"], **told)
            call = f"{request['entry']}(**{_INPUTS})"
            return session.feed_run(call, inputs={_INPUTS: request["inputs"]}, **told)
    except monty.MontySyntaxError as error:
        raise ProgramFailed("invalid", str(error)) from None
    except monty.MontyCrashedError as error:
        raise _crash(error, request) from None
    except monty.MontyRuntimeError as error:
        raise _failure(error, request) from None
    except monty.MontyError as error:
        raise ProgramFailed("invalid", str(error)) from None


def _crash(error: Any, request: dict[str, Any]) -> ProgramFailed:
    """Tell the kernel's limit of processor time, which may come before the interpreter's own, from any other end."""
    if "(SIGXCPU)" in str(error):
        return _out_of_time(request)
    return ProgramFailed("died", f"the interpreter ended: {error}")


def _out_of_time(request: dict[str, Any]) -> ProgramFailed:
    limit = request["limits"]["cpu_s"]
    return ProgramFailed("cpu", f"more than {limit} s of processor time were used", limit)


def _failure(error: Any, request: dict[str, Any]) -> ProgramFailed:
    """Tell the interpreter's own limits from what the program raised; a program that imitates one fools only itself."""
    text = str(error)
    if text.startswith("MemoryError: memory limit exceeded"):
        limit = request["memory_mib"]
        return ProgramFailed("memory", f"more than {limit} MiB of memory were asked for", limit)
    if text.startswith("TimeoutError: feed time limit exceeded"):
        return _out_of_time(request)
    return ProgramFailed("raised", text)
