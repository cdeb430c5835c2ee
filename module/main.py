"""Entry point of the process: `flow`, or `python -m module.main`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from core.errors import ErrorKind, FlowError
from driver_adapters.cli.api_client import ApiClient
from driver_adapters.cli.commands import Commands, Local, build_cli, run_arguments
from driver_adapters.cli.exits import DENIED, PIPE_CLOSED, UNREACHABLE, USAGE, CommandFailed
from driver_adapters.cli.output import print_lines
from module.settings import Settings, read_settings, shown_settings

DISTRIBUTION = "flow-automation"
_STATUSES = {
    ErrorKind.UNAVAILABLE: UNREACHABLE,
    ErrorKind.UNAUTHENTICATED: DENIED,
    ErrorKind.FORBIDDEN: DENIED,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its status."""
    sys.exit(run_command(sys.argv[1:] if arguments is None else list(arguments)))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. Errors are told in lines, never as a trace."""
    try:
        status = run_arguments(build_cli(wire_commands(), version(DISTRIBUTION)), arguments)
        sys.stdout.flush()
    except CommandFailed as failure:
        print_lines(failure.lines)
        return failure.status
    except FlowError as error:
        faults = [_told(fault) for fault in error.faults]
        # The detail of settings is their faults in one line.
        said = error.title if error.detail == "; ".join(faults) else f"{error.title}: {error.detail}"
        print_lines([said, *(f"  {fault}" for fault in faults)])
        return _STATUSES.get(error.kind, USAGE)
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends: that must not fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status


def wire_commands() -> Commands:
    """Give what commands need of this process; nothing is run, read or opened."""
    return Commands(work=_work, settings=lambda: shown_settings(_settings()), client=_client)


def _work() -> Local:
    from module.local_work import wire_local_work  # noqa: PLC0415 - it brings the engine; see its docstring

    return wire_local_work()


def _settings() -> Settings:
    return read_settings(os.environ, Path.cwd())


def _client() -> ApiClient:
    settings = _settings()
    return ApiClient(settings.url, settings.http_prefix, settings.api_key)


def _told(fault: Mapping[str, object]) -> str:
    return f"{fault.get('name', fault.get('pointer', ''))}: {fault.get('message', '')}"


if __name__ == "__main__":
    main()
