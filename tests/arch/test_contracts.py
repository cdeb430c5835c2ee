"""The import contracts hold, and each of them can break: one violation of each is seeded into a copy and reported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.arch.source import PRODUCT, ROOT

# Contract, a module that breaks it, and each thing that it may not import.
VIOLATIONS = {
    "hexagon": ("core.access.seeded_hexagon", ("driver_adapters.http",)),
    "core-inner": ("core.expression.seeded_inner", ("core.engine",)),
    "core-no-io": ("core.access.seeded_io", ("socket", "os", "subprocess")),
    "decisions-pure": ("core.dag.seeded_pure", ("asyncio", "time")),
    "driven-independent": ("driven_adapters.memory.seeded_independent", ("driven_adapters.sqlite",)),
    "apsw-at-home": ("driven_adapters.memory.seeded_apsw", ("apsw",)),
    "http-client-at-home": ("driven_adapters.operators.seeded_client", ("httpx2", "httpcore2")),
    "http-server-at-home": ("module.seeded_server", ("litestar", "uvicorn")),
    "di-at-home": ("driver_adapters.http.seeded_di", ("dependency_injector",)),
    "terminal-at-home": ("module.seeded_terminal", ("cyclopts", "rich")),
    "pure-interpreter-at-home": ("driven_adapters.operators.seeded_interpreter", ("pydantic_monty",)),
    "metrics-at-home": ("driver_adapters.http.seeded_metrics", ("prometheus_client",)),
    "duckdb-at-home": ("driven_adapters.operators.seeded_duckdb", ("duckdb",)),
    "file-systems-at-home": ("driven_adapters.operators.seeded_file_system", ("fsspec",)),
    "acyclic": ("driven_adapters.http.seeded_cycle", ("driven_adapters.system",)),
}
# The way back that makes a cycle of the import above.
CYCLE_BACK = ("driven_adapters.system.seeded_cycle", "driven_adapters.http")
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy with every violation in it."""
    copy = tmp_path_factory.mktemp("seeded")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in PRODUCT:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    imports = [(module, imported) for module, all_imported in VIOLATIONS.values() for imported in all_imported]
    for module, imported in [*imports, CYCLE_BACK]:
        with (copy / f"{module.replace('.', '/')}.py").open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # Without -P and with the folder as the current one: the copy's modules are found before an installed tree's.
    program = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_has_a_seeded_violation() -> None:
    assert set(CONTRACTS) == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_seeded_violation_breaks_its_contract_by_name(contract: str, report: str) -> None:
    module, all_imported = VIOLATIONS[contract]
    # The details follow the summary, each under the contract's name and a line of dashes.
    detail = report.rpartition(f"\n{CONTRACTS[contract]}\n---")[2].partition("\n\n\n\n")[0]
    if contract == "acyclic":
        told = ["No cycles are allowed in driven_adapters."]  # which import of the cycle it names is its own choice
    else:
        told = [f"{module} -> {imported} (l." for imported in all_imported]

    # Behind the verdict may stand how many imports the contract ignores.
    assert any(line.strip().startswith(f"{CONTRACTS[contract]} BROKEN") for line in report.splitlines())
    assert [] == [line for line in told if line not in detail]
