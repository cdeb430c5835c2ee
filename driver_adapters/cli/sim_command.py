"""`flow sim`: a DAG run over many seeds in this process, in virtual time, with drawn failures and faults."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number

from core.executor.error_kind import ERROR_KINDS
from driver_adapters.cli.exits import INSTANCE_FAILED, OK, USAGE, CommandFailed
from driver_adapters.cli.inputs import form_of, read_file, read_inputs
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_lines, print_table, print_value
from driver_adapters.cli.plan_command import Faults, Form, Texts, read_pair, read_values

RUNS_MAX = 10_000  # a small DAG takes some 20 ms each
SEED_MAX = 2**32 - 1
DAYS_MAX = 36_600.0  # a century
# Shares: of commits that meet a crash, or lose their answer; and of outcomes that come twice.
FAULT_SHARES = {"crash": 0.05, "lost-answer": 0.05, "duplicate": 0.2}
NO_FAULTS = "none"
ALL_FAULTS = ",".join(FAULT_SHARES)
_COLUMNS = ("seed", "fate", "error", "virtual_s", "calls", "commits", "crashes", "lost_answers")
_NOT_FINE = ("broken", "stuck")

Seed = Annotated[
    int,
    Parameter(validator=Number(gte=0, lte=SEED_MAX), help="The first seed; the same one does the same again."),
]
Runs = Annotated[int, Parameter(validator=Number(gte=1, lte=RUNS_MAX), help="How many seeds, one instance each.")]
FaultNames = Annotated[
    str,
    Parameter(
        help="Of `crash`, `lost-answer` and `duplicate`, by comma, each perhaps with a share (`crash=0.2`); or `none`."
    ),
]
InputTexts = Annotated[Texts, Parameter(name=["--input", "--inputs", "-i"], negative=(), help="As of `flow run`.")]
Outputs = Annotated[
    Texts,
    Parameter(
        name="--given",
        negative=(),
        help="`STEP=OUTPUT`: the output of a step's calls (JSON, or else text), by id or task path; may be repeated.",
    ),
]
Failing = Annotated[
    Texts,
    Parameter(
        negative=(),
        help="`STEP=SHARE` or `STEP=SHARE:KIND`: how many of a step's calls fail, 0 to 1, and with which kind of error "
        "(`unavailable`); `*` is every step; may be repeated.",
    ),
]
Signals = Annotated[
    Texts,
    Parameter(name="--signal", negative=(), help="`NAME=DATA`: a signal that each instance gets; may be repeated."),
]
Days = Annotated[
    float,
    Parameter(
        validator=Number(gt=0, lte=DAYS_MAX),
        help="Virtual days after which an instance counts as stuck, or as waiting.",
    ),
]


class SimulationAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated.

    Attributes:
        seed: the first one. runs: how many seeds follow each other. faults: share by name.
        inputs: JSON. outputs: of calls, by step. failing: share and kind of error, by step. signals: data by name.
        days: virtual time that an instance has.
    """

    seed: int
    runs: int
    faults: Mapping[str, float]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    failing: Mapping[str, tuple[float, str]]
    signals: Mapping[str, Any]
    days: float


Simulate = Callable[[bytes, Form, SimulationAsked], Iterator[Mapping[str, Any]]]
"""Gives a row per seed: `fate, error, open_tasks, faults, virtual_s, calls, commits, crashes, lost_answers, trace`."""


def add_sim(app: App, simulate_of: Callable[[], Simulate], faults_of: Faults) -> None:
    """Add the command; `faults_of` tells what keeps a document from being run."""

    @app.command
    def sim(
        file: Path,
        /,
        *,
        seed: Seed = 1,
        runs: Runs = 20,
        faults: FaultNames = ALL_FAULTS,
        input: InputTexts = (),  # noqa: A002 - the option's name
        given: Outputs = (),
        failing: Failing = (),
        signal: Signals = (),
        days: Days = 366.0,
        traces: Path | None = None,
        output: Output = "table",
    ) -> int:
        """Run a DAG over many seeds with faults, in virtual time; nothing outside is called.

        Each seed is one instance on the production engine with a store in memory. Calls take a drawn time and give
        what you say, or the plainest output that fits their operator. A commit in twenty meets a crash of the process,
        one loses its answer, an outcome in five comes twice. It fails when an invariant does not hold or an instance is
        stuck; an instance that fails as the DAG says is fine.

        Parameters
        ----------
        file
            YAML or JSON document.
        traces
            Folder for trace files of what is stuck or broken.
        """
        data = read_file(file)
        if found := faults_of(file, data):
            raise CommandFailed(USAGE, *found)
        asked = SimulationAsked(
            seed=seed,
            runs=runs,
            faults=read_shares(faults),
            inputs=read_inputs(input),
            outputs=read_values(given),
            failing=dict(map(_failing, failing)),
            signals=read_values(signal),
            days=days,
        )
        options = [*_repeated("--input", input), *_repeated("--given", given), *_repeated("--failing", failing)]
        options += [*_repeated("--signal", signal), "--faults", faults, "--days", f"{days:g}"]
        rows = [dict(row) for row in simulate_of()(data, form_of(file), asked)]
        for row in rows:
            _keep_trace(row, traces)
            row["repeat"] = shlex.join(["flow", "sim", str(file), "--seed", str(row["seed"]), "--runs", "1", *options])
        return _print(rows, output)


def read_shares(text: str) -> dict[str, float]:
    """Read `crash,lost-answer=0.1`.

    Raises:
        CommandFailed: a fault is none, or a share is not between 0 and 1.
    """
    if text == NO_FAULTS:
        return {}
    shares = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        if name not in FAULT_SHARES:
            raise CommandFailed(USAGE, f"{name!r} is no fault: {', '.join(FAULT_SHARES)} or {NO_FAULTS}")
        shares[name] = _share(share) if equals else FAULT_SHARES[name]
    return shares


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise CommandFailed(USAGE, f"{text!r} is no share: 0 to 1")
    return share


def _failing(text: str) -> tuple[str, tuple[float, str]]:
    step, value = read_pair(text)
    share, _, kind = value.partition(":")
    if kind and kind not in ERROR_KINDS:
        raise CommandFailed(USAGE, f"{kind!r} is no kind of error: {', '.join(sorted(ERROR_KINDS))}")
    return step, (_share(share), kind or "unavailable")


def _repeated(name: str, values: Sequence[str]) -> list[str]:
    return [part for value in values for part in (name, value)]


def _keep_trace(row: dict[str, Any], folder: Path | None) -> None:
    """Write the trace of a run that is not fine; the row says where it is."""
    trace = row.pop("trace")
    if folder is None or trace is None:
        return
    path = folder / f"seed-{row['seed']}.flowtrace"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(trace)
    except OSError as fault:
        raise CommandFailed(USAGE, f"{path} cannot be written: {fault.strerror}") from fault
    row["trace_file"] = str(path)


def _print(rows: list[dict[str, Any]], output: Output) -> int:
    fates = Counter(row["fate"] for row in rows)
    is_fine = not any(fates[fate] for fate in _NOT_FINE)
    verdict = "holds" if is_fine else "broken" if fates["broken"] else "stuck"
    if output != "table":
        print_value({"verdict": verdict, "fates": dict(sorted(fates.items())), "runs": rows}, output)
        return OK if is_fine else INSTANCE_FAILED
    print_table([_line(row) for row in rows], _COLUMNS)
    told = " · ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    print_lines([f"{len(rows)} seeds: {told}", f"verdict: {verdict}"])
    for row in rows:
        if row["fate"] in (*_NOT_FINE, "waits"):
            found = [*row["faults"], *row["open_tasks"]]
            print_lines([f"seed {row['seed']} {row['fate']}: {'; '.join(found)}", f"  repeat: {row['repeat']}"])
    return OK if is_fine else INSTANCE_FAILED


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    error = row["error"]
    told = None if error is None else f"{error['kind']} at {error['step']}"
    return {**row, "error": told, "virtual_s": round(row["virtual_s"], 3)}
