"""`flow export` and `flow replay`: an instance as a file, and that file played without a server."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number

from core.dag.json_text import read_json
from core.dag.syntax import SyntaxFault
from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK, UNREACHABLE, USAGE, CommandFailed
from driver_adapters.cli.options import Output, Switch
from driver_adapters.cli.output import print_fields, print_lines, print_table, print_value, printable

TRACE_BYTES_MAX = 67_108_864  # what the server gives, and what is read
_TASK_COLUMNS = ("path", "status", "reason", "attempts", "output", "error")
_KEYS = "n next, p previous, a number goes to that row, q ends"
Seq = Annotated[int | None, Parameter(validator=Number(gte=0))]


class Played(Protocol):
    """A trace that is played; values are JSON."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the file says of the instance."""
        ...

    @property
    def seq(self) -> int:
        """Number of the newest row."""
        ...

    def stand(self, seq: int) -> Mapping[str, Any]:
        """How the instance stood after a row: `seq, at, status, reason, events, changes, tasks, outputs, error`."""
        ...

    def edited(self, step: str, output: Any) -> Mapping[str, Any]:
        """What another output of a step leads to: `from_seq, divergence, status, is_open, open_tasks`."""
        ...


Play = Callable[[bytes], Played]


def add_trace(app: App, client_of: Callable[[], ApiClient], play_of: Callable[[], Play]) -> None:
    """Add both commands."""

    @app.command
    def export(
        instance: str,
        /,
        *,
        to: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
        force: Switch = False,
    ) -> int:
        """Write an instance into a trace file, secrets masked.

        Parameters
        ----------
        instance
            Its id.
        to
            Where to; absent = `INSTANCE.flowtrace`, here.
        force
            Write over a file that exists.
        """
        _save(client_of(), instance, to or Path(f"{instance}.flowtrace"), is_forced=force)
        return OK

    _add_replay(app, play_of)


def _add_replay(app: App, play_of: Callable[[], Play]) -> None:
    @app.command
    def replay(
        file: Path,
        /,
        *,
        at: Seq = None,
        step: Switch = False,
        backwards: Switch = False,
        edit: Annotated[str | None, Parameter(name="--edit")] = None,
        output: Output = "table",
    ) -> int:
        """Play a trace file without a server: every journal row, and what it changed.

        Parameters
        ----------
        file
            As `flow export` wrote it.
        at
            Only show how the instance stood after this row; 0 = before the first.
        step
            Go row by row, forwards and backwards, by commands on standard input.
        backwards
            From the newest row to the first.
        edit
            `STEP=JSON`: decide anew what follows when this step (its id, or the path of one task) gives another
            output, and show the first difference. What nobody recorded stays open.
        """
        played = play_of()(_read(file))
        if edit is not None:
            _print_edited(played.edited(*_edit(edit)), output)
        elif at is not None:
            _print_stand(played.stand(at), output)
        elif step:
            _go(played, sys.stdin)
        else:
            _print_rows(played, output, is_backwards=backwards)
        return OK


def add_diff(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the comparison to the group of instances."""

    @instances.command
    def diff(instance: str, other: str, /, *, output: Output = "table") -> int:
        """Find the first thing in which two instances differ, and its cause.

        Parameters
        ----------
        instance
            Its id.
        other
            The other one's.
        """
        found = client_of().get(f"/instances/{part(instance)}/diff/{part(other)}")
        if output == "table" and found["is_same"]:
            print_lines(["both did the same"])
        print_value({name: value for name, value in found.items() if value != ""}, output)
        return OK


def _save(client: ApiClient, instance: str, target: Path, *, is_forced: bool) -> None:
    """Write beside the target and rename: whoever looks sees the whole file or none."""
    if target.exists() and not is_forced:
        raise CommandFailed(USAGE, f"{target} exists; --force writes over it")
    size = 0
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as made:
            part_file = Path(made.name)
            try:
                with client.pieces(f"/instances/{part(instance)}/trace") as (_, pieces):
                    for piece in pieces:
                        size += len(piece)
                        _check_size(size)
                        made.write(piece)
            except BaseException:
                part_file.unlink()
                raise
        part_file.replace(target)
    except OSError as error:
        raise CommandFailed(USAGE, f"{target} cannot be written: {error.strerror}") from error
    print_lines([f"{target}: {size} bytes"])


def _check_size(size: int) -> None:
    if size > TRACE_BYTES_MAX:
        raise CommandFailed(UNREACHABLE, f"the trace passes {TRACE_BYTES_MAX} bytes")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(TRACE_BYTES_MAX + 1)  # a byte more than may be: who reads the trace says so
    except OSError as error:
        raise CommandFailed(USAGE, f"{file} cannot be read: {error.strerror}") from error


def _edit(text: str) -> tuple[str, Any]:
    step, equals, value = text.partition("=")
    if not step or not equals:
        raise CommandFailed(USAGE, f"--edit {text!r} is not STEP=JSON")
    try:
        return step, read_json(value)
    except SyntaxFault as fault:
        raise CommandFailed(USAGE, f"--edit {step}: {fault.message} at character {fault.column}") from fault


def _print_rows(played: Played, output: Output, *, is_backwards: bool) -> None:
    rows = [played.stand(seq) for seq in _order(played.seq, is_backwards=is_backwards)]
    if output == "table":
        print_fields(played.summary)
        for stand in rows:
            print()
            _print_row(stand)
    else:
        kept = [{name: value for name, value in stand.items() if name != "tasks"} for stand in rows]
        print_value({**played.summary, "rows": kept}, output)


def _order(count: int, *, is_backwards: bool) -> Sequence[int]:
    return range(count, 0, -1) if is_backwards else range(1, count + 1)


def _print_row(stand: Mapping[str, Any]) -> None:
    print(printable(f"row {stand['seq']}  {stand['at'] or ''}  {stand['status']}".rstrip()))
    for event in stand["events"]:
        said = {name: inner for name, inner in event.items() if name != "event" and inner not in (None, "", [], {})}
        print(printable(f"  {event['event']}  {_text(said)}"))
    for change in stand["changes"]:
        print(printable(f"  {change['path'] or 'instance'}: {change['before'] or 'not entered'} -> {change['after']}"))


def _print_stand(stand: Mapping[str, Any], output: Output) -> None:
    if output != "table":
        print_value(stand, output)
        return
    print_fields({name: stand[name] for name in ("seq", "at", "status", "reason", "outputs", "error")})
    print()
    print_table(stand["tasks"], _TASK_COLUMNS)


def _print_edited(told: Mapping[str, Any], output: Output) -> None:
    if output != "table":
        print_value(told, output)
        return
    found = told["divergence"]
    still_open = ", ".join(told["open_tasks"]) or None
    shown = {"from_row": told["from_seq"], "status": told["status"], "open_tasks": still_open}
    if found is None:
        print_fields({**shown, "divergence": "none: nothing that follows reads it"})
        return
    sides = {"as_recorded": found["left"], "as_edited": found["right"]}
    first = {"first_divergence": found["path"] or "instance", "cause": found["cause"]}
    print_fields({**shown, **first, **{name: _fact(side) for name, side in sides.items()}})


def _fact(side: Mapping[str, Any] | None) -> str:
    return "nothing" if side is None else f"{side['event']} {_text(side['said'])}"


def _go(played: Played, lines: Iterator[str]) -> None:
    """Show a row, then do what each line says, until one says `q` or no more come."""
    print_fields(played.summary)
    seq = min(1, played.seq)
    _print_at(played, seq)
    for line in lines:
        word = line.strip() or "n"
        if word == "q":
            return
        seq = _next(word, seq, played.seq)
        _print_at(played, seq)


def _next(word: str, seq: int, newest: int) -> int:
    if word == "n":
        return min(seq + 1, newest)
    if word == "p":
        return max(seq - 1, 0)
    if word.isascii() and word.isdecimal():
        return min(int(word[:9]), newest)
    print_lines([f"{word[:20]!r} is no command: {_KEYS}"])
    return seq


def _print_at(played: Played, seq: int) -> None:
    stand = played.stand(seq)
    print()
    _print_row(stand)
    print_table(stand["tasks"], _TASK_COLUMNS[:4])
    print_lines([f"row {seq} of {played.seq}; {_KEYS}"])


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
