"""The coverage that `make test` asks for: the pure core wholly, every other package and the whole up to a share."""

from __future__ import annotations

import ast
import dataclasses
import json
import tomllib
from pathlib import Path

# Folders whose subfolders are packages with a gate of their own; other top-level folders are one package each.
SPLIT = frozenset({"core", "driver_adapters", "driven_adapters"})
PURE = "pure core"


@dataclasses.dataclass
class Counts:
    """Lines and branches of one package, added up over its modules."""

    covered_count: int = 0
    all_count: int = 0

    @property
    def percent(self) -> float:
        """The covered share; a package without code to run is covered."""
        return 100 * self.covered_count / self.all_count if self.all_count else 100.0

    def add(self, summary: dict[str, int]) -> None:
        """Add one module's summary of coverage's JSON report."""
        self.covered_count += summary["covered_lines"] + summary.get("covered_branches", 0)
        self.all_count += summary["num_statements"] + summary.get("num_branches", 0)


def check(report: Path, pyproject: Path, root: Path) -> list[str]:
    """Compare a report of `coverage json` with the gates in pyproject.toml; print a table of all packages.

    Returns:
        One sentence for each gate that is not met, and for each module of the pure core with a place not covered.
    """
    gates = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["flow"]["coverage"]
    files = json.loads(report.read_text("utf-8"))["files"]
    packages: dict[str, Counts] = {}
    total = Counts()
    open_places = []
    for name, entry in sorted(files.items()):
        package = package_of(name, (root / name).read_text("utf-8"), gates["pure"])
        packages.setdefault(package, Counts()).add(entry["summary"])
        total.add(entry["summary"])
        if package == PURE and (entry["missing_lines"] or entry.get("missing_branches")):
            open_places.append(f"{name}: lines {entry['missing_lines']}, branches {entry.get('missing_branches', [])}")
    faults = [] if files else ["coverage saw no module"]
    for package, counts in sorted(packages.items()):
        faults += _fault(package, counts, gates["pure_percent_min" if package == PURE else "package_percent_min"])
    faults += _fault("all together", total, gates["total_percent_min"])
    # Whatever the share asked for: of many thousand lines, a place that no test reaches is lost in the rounding.
    return faults + [f"not covered in the pure core: {place}" for place in open_places]


def package_of(name: str, source: str, pure: list[str]) -> str:
    """Say which gate a module counts for: the pure core's, or that of its package.

    A module of a pure folder with an `async def` that has a body is a service around the decisions, not one of them.
    """
    parts = Path(name).parts
    folder = "/".join(parts[:2]) if parts[0] in SPLIT else parts[0]
    is_listed = any(name == entry or name.startswith(f"{entry}/") for entry in pure)
    return PURE if is_listed and not _is_service(ast.parse(source)) else folder


def _is_service(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.AsyncFunctionDef) and not _is_declaration(node) for node in ast.walk(tree))


def _is_declaration(function: ast.AsyncFunctionDef) -> bool:
    """Tell a Protocol's method: a docstring and an ellipsis at most."""
    return all(isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in function.body)


def _fault(package: str, counts: Counts, percent_min: float) -> list[str]:
    met = counts.percent >= percent_min
    verdict = "" if met else "NOT MET"
    print(f"{package:<32} {counts.percent:6.2f} % of {counts.all_count:>6}   gate {percent_min} %   {verdict}".rstrip())
    return [] if met else [f"coverage of {package} is {counts.percent:.2f} %, its gate {percent_min} %"]
