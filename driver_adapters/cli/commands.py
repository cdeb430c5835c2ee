"""The commands of `flow`. What runs in this process is given by the composition root; the rest speaks HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from cyclopts import App, CycloptsError
from rich.text import Text

from driver_adapters.cli.answer_commands import add_signals
from driver_adapters.cli.api_client import ApiClient, fault_line
from driver_adapters.cli.approval_commands import add_approvals
from driver_adapters.cli.batch_command import add_batch
from driver_adapters.cli.dag_commands import add_dags
from driver_adapters.cli.exits import INTERRUPTED, OK, USAGE, CommandFailed
from driver_adapters.cli.file_commands import add_files
from driver_adapters.cli.inputs import form_of, read_file
from driver_adapters.cli.instance_act_commands import add_instance_acts
from driver_adapters.cli.instance_commands import add_instances
from driver_adapters.cli.operator_commands import add_operators
from driver_adapters.cli.options import Output, Switch
from driver_adapters.cli.output import print_lines, print_value, printable
from driver_adapters.cli.plan_command import Form, Plan, add_plan
from driver_adapters.cli.reading_commands import add_reading
from driver_adapters.cli.rerun_command import add_rerun
from driver_adapters.cli.run_command import add_run
from driver_adapters.cli.scaffold import write_scaffold
from driver_adapters.cli.sim_command import Simulate, add_sim
from driver_adapters.cli.trace_commands import Play, add_diff, add_trace
from driver_adapters.cli.verify_command import add_verify
from driver_adapters.cli.version_commands import add_acts, add_versions
from driver_adapters.cli.why_command import add_why

Shell = Literal["bash", "zsh", "fish"]


class Check(msgspec.Struct, frozen=True):
    """One line of `flow doctor`: `fix` says what to do when it is not fine."""

    name: str
    is_fine: bool
    said: str
    fix: str = ""


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """What commands do in this process; each gives an exit status or a value."""

    serve: Callable[[], int]
    example: Callable[[bool], int]
    validate: Callable[[bytes, Form], Sequence[Mapping[str, Any]]]
    plan: Plan
    dag_schema: Callable[[], bytes]
    doctor: Callable[[], Sequence[Check]]
    migrate: Callable[[], Sequence[str]]
    migrations: Callable[[], Mapping[str, bool]]
    play: Play
    simulate: Simulate


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root gives: `work` is asked for by commands that need more than settings and a client."""

    work: Callable[[], Local]
    settings: Callable[[], Mapping[str, str]]
    client: Callable[[], ApiClient]


def build_cli(given: Commands, version: str) -> App:
    """Make the application; parsing and running happen when it is called."""
    app = App(name="flow", version=version, help="Durable DAGs that you host yourself.", help_format="plaintext")
    app.error_formatter = _told
    # Ctrl-C reaches `run_arguments`, which says what it means; the library would leave without a word.
    app.suppress_keyboard_interrupt = False
    add_run(app, given.client)
    _add_documents(app, given)
    dags = _group(app, "dags", "Stored DAGs.")
    add_dags(dags, given.client)
    add_versions(dags, given.client)
    add_acts(dags, given.client)
    instances = _group(app, "instances", "Executions of DAGs.")
    add_instances(instances, given.client)
    add_instance_acts(instances, given.client)
    add_rerun(instances, given.client)
    add_batch(instances, given.client)
    add_reading(instances, given.client)
    add_diff(instances, given.client)
    add_trace(app, given.client, lambda: given.work().play)
    add_why(app, given.client)
    add_signals(instances, given.client)
    add_verify(app, given.client)
    add_approvals(_group(app, "approvals", "Decisions that steps wait for."), given.client)
    add_files(_group(app, "files", "Files that steps read and write."), given.client)
    add_operators(_group(app, "operators", "What a step can do."), given.client)
    _add_processes(app, given)
    _add_config(_group(app, "config", "Settings of this process."), given)
    _add_database(_group(app, "db", "The store's schema."), given)
    _add_completion(app)
    return app


def run_arguments(app: App, arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. Wrong usage is told by the library and is USAGE."""
    try:
        status = app(list(arguments), exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        print_lines(["stopped"])
        return INTERRUPTED
    return status if isinstance(status, int) else OK


def _told(error: CycloptsError) -> Text:
    """Tell wrong usage in plain lines: a frame or a break in their midst would be lost in a log."""
    said = f"{error}\n`flow --help` lists the commands, `flow COMMAND --help` their options"
    return Text(printable(said), no_wrap=True, overflow="ignore")


def _group(app: App, name: str, told: str) -> App:
    group = App(name=name, help=told)
    app.command(group)
    return group


def _add_config(config: App, given: Commands) -> None:
    @config.command
    def show(*, output: Output = "table") -> int:
        """Show every setting as it is read now, secrets masked."""
        print_value(dict(given.settings()), output)
        return OK

    @config.command
    def get(name: str, /) -> int:
        """Print the value of one setting as it is read now, a secret masked.

        Parameters
        ----------
        name
            As `flow config show` lists it.
        """
        settings = given.settings()
        if name not in settings:
            raise CommandFailed(USAGE, f"no setting has the name {name!r}", "`flow config show` lists them")
        print(settings[name])
        return OK


def _add_database(database: App, given: Commands) -> None:
    @database.command
    def migrate(*, output: Output = "table") -> int:
        """Bring the store's schema up to this release."""
        print_value({"applied": list(given.work().migrate())}, output)
        return OK

    @database.command
    def status(*, output: Output = "table") -> int:
        """List migrations, applied or not."""
        print_value({name: "applied" if done else "due" for name, done in given.work().migrations().items()}, output)
        return OK


def _add_processes(app: App, given: Commands) -> None:
    @app.command
    def serve() -> int:
        """Run the service: public API, private port, engine. Stops cleanly on SIGTERM and Ctrl-C."""
        return given.work().serve()

    @app.command
    def example(*, once: Switch = False) -> int:
        """Run the service with a mock server, load the examples, run one on real input and print its outcome.

        Parameters
        ----------
        once
            End after the outcome instead of serving on.
        """
        return given.work().example(once)

    @app.command
    def doctor(*, output: Output = "table") -> int:
        """Check what the service needs here, with a fix for each fault."""
        checks = given.work().doctor()
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


def _add_documents(app: App, given: Commands) -> None:
    @app.command
    def validate(file: Path, /) -> int:
        """Check a DAG document and print every fault as file:line:column.

        Parameters
        ----------
        file
            YAML or JSON document.
        """
        faults = _faults(given, file, read_file(file))
        print_lines(faults or [f"{file}: valid"])
        return USAGE if faults else OK

    add_plan(
        app, lambda: given.work().plan, lambda file, data: _faults(given, file, data), given.client
    )  # fmt: skip

    add_sim(app, lambda: given.work().simulate, lambda file, data: _faults(given, file, data))

    @app.command
    def init(folder: Path = Path(), /, *, output: Output = "table") -> int:
        """Write a first DAG, its schema for editors, a README and a .gitignore; what exists is kept.

        Parameters
        ----------
        folder
            Made when it does not exist; absent = this one.
        """
        print_value(write_scaffold(folder, given.work().dag_schema()), output)
        return OK


def _faults(given: Commands, file: Path, data: bytes) -> list[str]:
    return [fault_line(str(file), fault) for fault in given.work().validate(data, form_of(file))]


def _add_completion(app: App) -> None:
    @app.command
    def completion(shell: Shell, /) -> int:
        """Print what makes a shell complete commands and options.

        For bash: `source <(flow completion bash)` in ~/.bashrc. For zsh: write it into a file `_flow` on the fpath. For
        fish: write it to ~/.config/fish/completions/flow.fish.

        Parameters
        ----------
        shell
            Which shell.
        """
        print(app.generate_completion(shell=shell))
        return OK
