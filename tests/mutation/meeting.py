"""Unit tests meet mutants: the tests are collected once, each mutant is a child in which one function has other code.

A test that never comes to a statement cannot tell what is changed in it, so a mutant meets only those that do, the quick
ones first. Which ones do is measured by one run of all tests without a mutant.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import select
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from types import FunctionType
from typing import Any

import coverage
import msgspec
import pytest

from driven_adapters.system import SystemClock
from tests.mutation.mutants import ROOT, Mutant, code_of, lines_of

SILENCE_S_MAX = (
    180.0  # of the run without a mutant; the slowest test takes three seconds, on a crowded machine a minute
)
# A test that hangs with a mutant is seen by these: its own seconds without one, so many times, and some for a pause of
# the machine. Most mutants that hang do so in a test of some milliseconds, and on virtual time they end by its bounds.
SLOWER_MAX = 20
PAUSE_S_MAX = 30.0
_PASSED, _FAILED, _BROKEN = 0, 1, 2  # of a child; broken: it could not do its work

Tell = Callable[[Mutant, bool], None]


class Seen(msgspec.Struct):
    """What one test did in the run without a mutant: its seconds, and by file the lines that it ran."""

    duration_s: float
    lines: dict[str, set[int]] = {}


class Meeting:
    """Takes the place of pytest's loop over the tests that it has collected.

    Args:
        tell: called with each mutant, in order, and whether a test noticed it.
    """

    def __init__(self, mutants: Collection[Mutant], tell: Tell) -> None:
        self._mutants = mutants
        self._tell = tell
        self.is_done = False

    def hold(self, folder: str) -> None:
        """Let the tests of the folder meet the mutants.

        Raises:
            RuntimeError: the tests cannot be collected, or do not pass without a mutant.
        """
        pytest.main([folder, "-q", "-s", "--no-header", "-p", "no:cacheprovider", "--tb=no"], plugins=[self])
        if not self.is_done:
            raise RuntimeError(f"the tests of {folder} do not pass without a mutant")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Meet them all; nothing is run in this process itself."""
        if session.testsfailed:
            return True
        paths = {mutant.path for mutant in self._mutants}
        status, told = _in_child(functools.partial(_measure, session, paths), lambda _: SILENCE_S_MAX)
        if status != _PASSED:
            return True
        seen = msgspec.json.decode(told.lstrip(b"."), type=list[Seen])
        for mutant in self._mutants:
            order = order_of(seen, mutant)
            work = functools.partial(_pass_all, session, [session.items[number] for number in order])
            with _planted(mutant):
                status, _ = _in_child(work, functools.partial(_patience_s, [seen[number] for number in order]))
            if status == _BROKEN:
                raise RuntimeError(f"not met: {mutant}")
            self._tell(mutant, status != _PASSED)
        self.is_done = True
        return True


def order_of(seen: list[Seen], mutant: Mutant) -> list[int]:
    """Give the numbers of the tests that come to the changed statement, the quick ones first."""
    changed = set(lines_of(mutant))
    found = [number for number, test in enumerate(seen) if test.lines.get(mutant.path, set()) & changed]
    return sorted(found, key=lambda number: seen[number].duration_s)


def _patience_s(order: list[Seen], done_count: int) -> float:
    """Give how long the next test may take; after the last one, the child's end."""
    return PAUSE_S_MAX + (SLOWER_MAX * order[done_count].duration_s if done_count < len(order) else 0.0)


def _in_child(work: Callable[[int], bool], patience_s: Callable[[int], float]) -> tuple[int, bytes]:
    """Do work in a child; gives its status, negative when it was killed since it was silent too long, and what it told.

    Args:
        patience_s: gives how long it may be silent after having told so many bytes.
    """
    told, pipe = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = _BROKEN
        try:
            _hush()
            status = _PASSED if work(pipe) else _FAILED
        finally:
            os._exit(status)
    os.close(pipe)
    heard = bytearray()
    while select.select([told], [], [], patience_s(len(heard)))[0]:
        part = os.read(told, 1 << 16)
        if not part:
            break
        heard += part
    else:
        os.kill(child, signal.SIGKILL)
    os.close(told)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bytes(heard)


def _hush() -> None:
    """Print nothing more: a mutant's tests fail loudly."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _pass_all(session: pytest.Session, items: list[pytest.Item], pipe: int) -> bool:
    """Run tests until one fails."""
    return all(_passes(session, *pair, pipe) for pair in _followed(items))


def _passes(session: pytest.Session, item: pytest.Item, following: pytest.Item | None, pipe: int) -> bool:
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    os.write(pipe, b".")
    return session.testsfailed == 0


def _followed(items: list[pytest.Item]) -> Iterable[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=False)


def _measure(session: pytest.Session, paths: Collection[str], pipe: int) -> bool:
    """Run every test without a mutant, and tell what each one did."""
    files = {path: str(ROOT / path) for path in paths}
    measured = coverage.Coverage(data_file=None, config_file=False, include=list(files.values()))
    clock = SystemClock()
    seen: list[Seen] = []
    measured.start()
    for number, (item, following) in enumerate(_followed(session.items)):
        measured.switch_context(str(number))
        started_at = clock.monotonic()
        if not _passes(session, item, following, pipe):
            return False
        seen.append(Seen(clock.monotonic() - started_at))
    measured.stop()
    for path, file in files.items():
        for line, contexts in measured.get_data().contexts_by_lineno(file).items():
            for context in filter(None, contexts):
                seen[int(context)].lines.setdefault(path, set()).add(line)
    with os.fdopen(pipe, "wb") as whole:
        whole.write(msgspec.json.encode(seen))
    return True


@contextlib.contextmanager
def _planted(mutant: Mutant) -> Iterator[None]:
    """Give the function the mutant's code for a while."""
    found: Any = importlib.import_module(mutant.path.removesuffix(".py").replace("/", "."))
    for name in mutant.name.split("."):
        found = vars(found)[name]
    function = found.fget if isinstance(found, property) else found
    assert isinstance(function, FunctionType), mutant
    original, function.__code__ = function.__code__, code_of(mutant)
    try:
        yield
    finally:
        function.__code__ = original
