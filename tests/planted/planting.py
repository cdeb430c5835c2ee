"""Copies of the tree with a planted bug: how a patch is read, where it is applied, and what is run there.

A patch is `NN-name.patch`, made by `git diff`. Its first lines are `# fails: <pytest node id>`, one or more; git skips
what stands before the first `diff`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
FAILS_PREFIX = "# fails:"
PYTEST_TESTS_FAILED = 1
# Only files of text stand in the tree; one that is larger was put there by mistake and would be copied for every patch.
FILE_BYTES_MAX = 16 * 2**20
# The largest named test is one seed of the simulation or one contract suite; ten minutes mean that it hangs.
RUN_DURATION_S_MAX = 600


class PatchUnusable(Exception):
    """A patch names no test, does not apply, or several or none have the name asked for."""


@dataclasses.dataclass(frozen=True)
class Planted:
    """One patch: `name` without its number, and the tests that must fail where it is applied."""

    path: Path
    name: str
    fails: tuple[str, ...]


def read_patches(folder: Path = FOLDER) -> list[Planted]:
    """Read every patch of a folder, ordered by number.

    Raises:
        PatchUnusable: one is not called NN-name.patch, or names no test in its first lines.
    """
    return [_read_patch(path) for path in sorted(folder.glob("*.patch"))]


def _read_patch(path: Path) -> Planted:
    number, _, name = path.stem.partition("-")
    lines = path.read_text("utf-8").splitlines()
    fails = []
    for line in lines:
        if not line.startswith(FAILS_PREFIX):
            break
        fails.append(line.removeprefix(FAILS_PREFIX).strip())
    if not number.isdigit() or not name:
        raise PatchUnusable(f"{path.name} is not called NN-name.patch")
    if not fails or not all(fails):
        raise PatchUnusable(f"{path.name} does not begin with `{FAILS_PREFIX} <pytest node id>`")
    return Planted(path, name, tuple(fails))


def find(name: str, folder: Path = FOLDER) -> Planted:
    """Find the one patch called `name`.

    Raises:
        PatchUnusable: none or several have this name; the message lists all names.
    """
    patches = read_patches(folder)
    found = [patch for patch in patches if patch.name == name]
    if len(found) != 1:
        known = ", ".join(patch.name for patch in patches) or "none"
        raise PatchUnusable(f"{len(found)} planted bugs are called {name!r}; there are: {known}")
    return found[0]


def copy_tree(root: Path, target: Path) -> Path:
    """Copy what git tracks or would track into `target`, make it a repository of its own, and share the environment.

    Data, caches and .venv are not copied; .venv becomes a link to the one of `root`, which stays as it is.

    Raises:
        subprocess.CalledProcessError: `root` is not a git repository.
    """
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in filter(None, listed.decode().split("\0")):
        source = root / name
        if not source.is_file():  # deleted and not yet committed
            continue
        if source.stat().st_size > FILE_BYTES_MAX:
            raise PatchUnusable(f"{name} has more than {FILE_BYTES_MAX} bytes; it does not belong into the tree")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name)
    _git(target, "init", "--quiet")
    (target / ".git" / "info").mkdir(exist_ok=True)
    (target / ".git" / "info" / "exclude").write_text(".venv\n", "utf-8")
    _git(target, "add", "--all")
    if (root / ".venv").exists():
        (target / ".venv").symlink_to((root / ".venv").resolve(), target_is_directory=True)
    return target


def plant(patch: Planted, tree: Path) -> None:
    """Apply a patch to a copy.

    Raises:
        PatchUnusable: it does not apply to this tree any more; what git said is in the message.
    """
    _apply(patch, tree)


def check_applies(patch: Planted, tree: Path) -> None:
    """Say whether a patch would apply, changing nothing.

    Raises:
        PatchUnusable: it would not; what git said is in the message.
    """
    _apply(patch, tree, "--check")


def _apply(patch: Planted, tree: Path, *options: str) -> None:
    command = ["git", "-C", str(tree), "apply", *options, str(patch.path.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PatchUnusable(f"{patch.path.name} does not apply: {done.stderr.strip()}")


def environment(tree: Path) -> dict[str, str]:
    """Give the environment of commands in a copy: its own modules first, nothing of the run that started it.

    Coverage's variables are left out: a copy has the file names of the tree, and its lines would count there.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COVERAGE_") and name not in {"FLOW_PLANT", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    return kept | {"PYTHONPATH": str(tree), "TREE_COPY": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def run_tests(node_ids: Sequence[str], tree: Path) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy; status 0 says that all passed, 1 that one failed, another that one could not be run."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", *node_ids]
    # A bug is caught by what every change waits for, not by the hours of a release; its figures are nobody's.
    own = {name: value for name, value in environment(tree).items() if name not in {"FLOW_FIGURES", "TEST_BUDGET"}}
    return subprocess.run(
        command, cwd=tree, env=own, capture_output=True, text=True, check=False, timeout=RUN_DURATION_S_MAX
    )


@dataclasses.dataclass(frozen=True)
class Meeting:
    """How the tests that a patch names met it.

    Attributes:
        missed: a line for each that did not fail: it passed, or it could not be collected or found.
        caught_s: what the quickest of those that failed took, its interpreter included; infinite when none failed.
    """

    missed: list[str]
    caught_s: float


def meet(patch: Planted, tree: Path) -> Meeting:
    """Run each of the tests that a patch names where it is planted."""
    missed = []
    caught_s = math.inf
    for node_id in patch.fails:
        began_at = time.perf_counter()
        done = run_tests([node_id], tree)
        if done.returncode == PYTEST_TESTS_FAILED:
            caught_s = min(caught_s, time.perf_counter() - began_at)
        else:
            missed.append(f"{patch.path.name}: {node_id} gave status {done.returncode}\n{done.stdout[-2000:]}")
    return Meeting(missed, caught_s)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)
