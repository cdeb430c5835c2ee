"""The commands of `flow`. What runs in this process is given by the composition root; the rest speaks HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, CycloptsError, Parameter

from driver_adapters.cli.api_client import ApiClient, fault_line
from driver_adapters.cli.exits import INSTANCE_FAILED, OK, USAGE, CommandFailed
from driver_adapters.cli.output import Form, print_lines, print_value

WAIT_S = 30  # one long poll; the next follows until the instance ended
FILE_BYTES_MAX = 1_048_576  # what the server takes as a document or inputs
_FORMS: dict[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}

Output = Annotated[Form, Parameter(name=["--output", "-o"])]


class Check(msgspec.Struct, frozen=True):
    """One line of `flow doctor`: `fix` says what to do when it is not fine."""

    name: str
    is_fine: bool
    said: str
    fix: str = ""


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root does for commands that run in this process; each gives an exit status or a value."""

    serve: Callable[[], int]
    example: Callable[[bool], int]
    validate: Callable[[bytes, Literal["yaml", "json"] | None], Sequence[Mapping[str, Any]]]
    doctor: Callable[[], Sequence[Check]]
    settings: Callable[[], Mapping[str, str]]
    migrate: Callable[[], Sequence[str]]
    migrations: Callable[[], Mapping[str, bool]]
    client: Callable[[], ApiClient]


def build_cli(local: Local, version: str) -> App:
    """Make the application; parsing and running happen when it is called."""
    app = App(name="flow", version=version, help="Durable DAGs that you host yourself.", help_format="plaintext")
    database = App(name="db", help="The store's schema.")
    config = App(name="config", help="Settings of this process.")
    app.command(database)
    app.command(config)
    _add_processes(app, local)
    _add_documents(app, local)

    @config.command
    def show(*, output: Output = "table") -> int:
        """Show every setting as it is read now, secrets masked."""
        print_value(dict(local.settings()), output)
        return OK

    @database.command
    def migrate(*, output: Output = "table") -> int:
        """Bring the store's schema up to this release."""
        print_value({"applied": list(local.migrate())}, output)
        return OK

    @database.command
    def status(*, output: Output = "table") -> int:
        """List migrations, applied or not."""
        print_value({name: "applied" if done else "due" for name, done in local.migrations().items()}, output)
        return OK

    return app


def run_arguments(app: App, arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. Wrong usage is told by the library and is USAGE."""
    try:
        status = app(list(arguments), exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return USAGE
    return status if isinstance(status, int) else OK


def _add_processes(app: App, local: Local) -> None:
    @app.command
    def serve() -> int:
        """Run the service: public API, private port, engine. Stops cleanly on SIGTERM and Ctrl-C."""
        return local.serve()

    @app.command
    def example(*, once: Annotated[bool, Parameter(negative=())] = False) -> int:
        """Run the service with a mock server, load the examples, run one on real input and print its outcome.

        Parameters
        ----------
        once
            End after the outcome instead of serving on.
        """
        return local.example(once)

    @app.command
    def doctor(*, output: Output = "table") -> int:
        """Check what the service needs here, with a fix for each fault."""
        checks = local.doctor()
        print_value(
            [
                {
                    "check": check.name,
                    "result": "ok" if check.is_fine else "FAULT",
                    "said": check.said,
                    "fix": "" if check.is_fine else check.fix,
                }
                for check in checks
            ],
            output,
        )
        return OK if all(check.is_fine for check in checks) else USAGE


def _add_documents(app: App, local: Local) -> None:
    @app.command
    def validate(file: Path) -> int:
        """Check a DAG document and print every fault as file:line:column."""
        faults = local.validate(_read(file), _form(file))
        print_lines([fault_line(str(file), fault) for fault in faults])
        if not faults:
            print_lines([f"{file}: valid"])
        return USAGE if faults else OK

    @app.command
    def run(
        file: Path,
        *,
        wait: Annotated[bool, Parameter(negative=())] = False,
        inputs: str = "{}",
        output: Output = "table",
    ) -> int:
        """Publish a DAG by its title and start it; the same content makes no new version.

        Parameters
        ----------
        file
            YAML or JSON document.
        wait
            Wait for the outcome; the exit status is 1 when it did not succeed.
        inputs
            JSON, or @FILE.
        """
        client = local.client()
        dag = client.post("/dags?if_exists=publish", _read(file), _media_type(file))
        body = _read(Path(inputs[1:])) if inputs.startswith("@") else inputs.encode()
        started = client.post(f"/dags/{dag['id']}/run" + (f"?wait={WAIT_S}" if wait else ""), body, "application/json")
        shown = _ended(client, started) if wait else started
        print_value(shown, output)
        return INSTANCE_FAILED if wait and shown["status"] != "succeeded" else OK


def _ended(client: ApiClient, started: Any) -> Any:
    """Poll until it ended. Each look is cheap, and a person ends the command when it takes too long."""
    shown = started
    while "ended_at" not in shown or shown["ended_at"] is None:
        shown = client.get(f"/instances/{started['id']}?wait={WAIT_S}")
    return shown


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandFailed(USAGE, f"{file} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise CommandFailed(USAGE, f"{file} passes {FILE_BYTES_MAX} bytes")
    return data


def _form(file: Path) -> Literal["yaml", "json"] | None:
    return _FORMS.get(file.suffix.lower())


def _media_type(file: Path) -> str:
    return "application/json" if _form(file) == "json" else "application/yaml"
