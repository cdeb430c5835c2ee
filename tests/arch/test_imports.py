"""Importing a module opens, reads and registers nothing: each is imported in sight of an audit hook."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arch.source import PRODUCT, ROOT, modules

# Runs in a fresh interpreter: imports what others wrote first, then, watched, the modules named on the command line.
WATCHER = """
import importlib, json, os, sys, threading
sys.dont_write_bytecode = True
foreign, own = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for name in foreign:
    importlib.import_module(name)
current, seen = "", []
CODE = (".py", ".pyc", ".so")
OPENING = ("open", "os.mkdir", "os.remove", "os.rename", "subprocess.Popen", "os.fork", "os.exec", "os.system")

def watch(event, arguments):
    if event.startswith(("socket.", "sqlite3.")) or event in OPENING:
        opened = str(arguments[0])
        is_import = event == "open" and (opened.endswith(CODE) or ".pyc." in opened)
        if not is_import:
            seen.append([current, event, opened])

sys.addaudithook(watch)
for current in own:
    importlib.import_module(current)
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        seen.append([thread.name, "thread", ""])
sys.stdout.write("WATCHED" + json.dumps(seen))
sys.stdout.flush()
os._exit(0)
"""


def watched(foreign: list[str], own: list[str], folder: Path) -> list[list[str]]:
    """Import `own` after `foreign` in a fresh interpreter; give module, event and argument of each thing it opened."""
    command = [sys.executable, "-c", WATCHER, json.dumps(foreign), json.dumps(own)]
    environment = {"PYTHONPATH": str(folder), "PATH": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    opened: list[list[str]] = json.loads(done.stdout.partition("WATCHED")[2])
    return opened


def name_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_packages(own: tuple[str, ...]) -> list[str]:
    """List the modules of others that the product imports at module level, so that theirs are not counted as ours."""
    found = set()
    for module in modules(*own):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return sorted(name for name in found if name.split(".")[0] not in own and name != "__future__")


def test_import_of_any_module_opens_nothing() -> None:
    own = [name_of(module.path) for module in modules(*PRODUCT) if not module.path.endswith("__main__.py")]

    assert [] == watched(imported_packages(PRODUCT), own, ROOT)


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("open('kept.txt', 'w').close()", "open"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("open('grammar.lark').close()", "open"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(30,), daemon=True).start()", "thread"),
    ],
    ids=["writes-a-file", "makes-a-socket", "reads-a-file", "starts-a-thread"],
)
def test_import_that_opens_something_is_reported(source: str, event: str, tmp_path: Path) -> None:
    (tmp_path / "seeded.py").write_text(source, "utf-8")
    (tmp_path / "grammar.lark").write_text("", "utf-8")

    assert [event] == [found for _, found, _ in watched(["socket", "threading"], ["seeded"], tmp_path)]
