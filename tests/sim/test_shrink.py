"""Shrinking: what stays is what the failure needs, and it can be repeated from the line that is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import pytest

from tests.sim import __main__ as command
from tests.sim.options import Options, options_of
from tests.sim.shrink import FAULTS, ROOMY, SIZES, TRIES_MAX, Shrinker, failure_of, read, written
from tests.sim.watch import InvariantBrokenError

EVERYTHING = msgspec.structs.replace(
    options_of(7),
    **{name: type(getattr(options_of(7), name))(1) for name in FAULTS},
    node_count=5,
    instance_count=32,
)


def test_every_option_is_a_fault_a_size_or_neither_bad_nor_large() -> None:
    others = {"seed", "kill_every_s", *ROOMY}

    assert {*FAULTS, *SIZES, *others} == set(Options.__struct_fields__)


@pytest.mark.parametrize("needed", [("kill",), ("kill", "unknown"), ("zombie", "cut", "at_once"), ()])
def test_only_faults_that_the_failure_needs_stay_on(needed: tuple[str, ...]) -> None:
    def run(options: Options) -> str | None:
        return "InvariantBrokenError I6" if all(getattr(options, name) for name in needed) else None

    smallest = Shrinker(EVERYTHING, run).shrink()

    assert set(needed) == {name for name in FAULTS if getattr(smallest, name)}


def test_sizes_are_halved_while_it_fails() -> None:
    def run(options: Options) -> str | None:
        return "StuckError" if options.instance_count >= 7 and options.node_count >= 2 else None

    smallest = Shrinker(EVERYTHING, run).shrink()

    assert (8, 2, 1) == (smallest.instance_count, smallest.node_count, smallest.client_count)


def test_another_failure_is_not_taken_for_the_one_that_is_looked_for() -> None:
    def run(options: Options) -> str | None:
        return "StuckError" if options.kill else "InvariantBrokenError I1"

    assert Shrinker(EVERYTHING, run).shrink().kill


def test_seed_that_passes_stays_as_it_is() -> None:
    shrinker = Shrinker(EVERYTHING, lambda _options: None)

    assert (EVERYTHING, 0) == (shrinker.shrink(), shrinker.tries_count)


def test_tries_are_bounded() -> None:
    shrinker = Shrinker(EVERYTHING, lambda options: "StuckError" if options == EVERYTHING else None)
    shrinker.shrink()

    assert shrinker.tries_count <= TRIES_MAX


def test_failure_is_named_by_its_rule() -> None:
    assert "InvariantBrokenError I16" == failure_of(InvariantBrokenError("at 1.5 s: I16: replay differs from I2"))
    assert "KeyError" == failure_of(KeyError("x"))


def test_smallest_options_are_printed_so_that_they_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(seed: int, options: Options | None = None) -> None:
        if options is not None and options.instance_count >= 3:
            raise InvariantBrokenError(f"I6 of seed {seed}")

    monkeypatch.setattr(command, "run_seed", fail)

    assert 1 == command.main(["--seed", "9", "--shrink"])
    told = shlex.split(capsys.readouterr().out.splitlines()[-1])
    smallest = read(9, told[told.index("--with") + 1 :])
    assert 3 <= smallest.instance_count <= 5
    assert not any(getattr(smallest, name) for name in FAULTS)
    assert smallest == read(9, shlex.split(written(smallest)))
    assert 1 == command.main(["--seed", "9", "--with", "instance_count=3"])
    assert 0 == command.main(["--seed", "9", "--shrink", "--with", "instance_count=2"])


def test_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="nodes"):
        read(1, ["nodes=3"])


def test_seed_that_failed_is_kept_once(tmp_path: Path) -> None:
    file = tmp_path / "seeds.txt"
    file.write_text("# seeds\n35 an old one\n", "utf-8")
    for seed in (35, 41, 41):
        command.keep(seed, InvariantBrokenError("I6: two results\nmore"), file)

    assert "# seeds\n35 an old one\n41 InvariantBrokenError: I6: two results\n" == file.read_text("utf-8")
