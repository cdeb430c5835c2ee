"""`make demo` as a user runs it: real processes, all examples, two kills of the server in the longest one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.e2e.processes import PROJECT

DEMO_S_MAX = 200.0  # it takes 20 s on two idle cores
EXAMPLES = PROJECT / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    command = [sys.executable, "examples/demo.py", "--folder", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=DEMO_S_MAX, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("hello", '{"greeting":"Hello, reader!"}'),
        ("map", '{"even":[4,16],"squares":[1,4,9,16,25]}'),
        ("error_handling", '{"report":{"attempts":3,"newsletter":"no newsletter today","price":9.5,"value":42}}'),
        ("loop", '{"numbers":[1,2,4,8,16,32,64,128],"seat":{"because":"sold out","place":7}}'),
        ("orders", '{"large":["dach","na"],"load":"busy: 2399 paid orders","orders_count":3000'),
        ("orders, built in Python", '{"large":["dach","na"],"load":"busy: 2399 paid orders","orders_count":3000'),
        ("orders_report", '{"file":"orders-report.json","regions":["dach","na","emea","uk","nordics","apac"]}'),
        ("sync since 0", '{"booked_count":67,"fetched_count":100,"is_complete":false,"watermark":100}'),
        ("sync since 100", '{"booked_count":66,"fetched_count":100,"is_complete":false,"watermark":200}'),
        ("sync since 200", '{"booked_count":34,"fetched_count":50,"is_complete":true,"watermark":250}'),
        ("long_map", '{"done_count":400,"first":{"item":0,"key":'),
    ],
)
def test_example_succeeds_with_the_outcome_that_its_page_promises(said: str, name: str, outcome: str) -> None:
    assert re.search(rf"^{re.escape(name)}: succeeded in [\d.]+ s\n  {re.escape(outcome)}", said, re.MULTILINE), said


def test_every_example_is_part_of_the_demonstration(said: str) -> None:
    told = {re.split(r"[ ,]", line.partition(":")[0])[0] for line in said.splitlines() if ": succeeded" in line}

    assert {path.stem for path in EXAMPLES.rglob("*.yaml")} == told


def test_killed_long_map_called_every_item_under_one_key_and_none_after_its_success(said: str, folder: Path) -> None:
    assert 2 == said.count("killed after")
    calls = [json.loads(line) for line in (folder / "ledger.jsonl").read_text("utf-8").splitlines()]
    attempts = defaultdict(list)
    for call in calls:
        if call["path"].startswith("/work/"):
            attempts[call["key"]].append(int(call["attempt"]))

    assert 400 == len(attempts)
    # An attempt that died with the server, its call made or not, is followed by the next one; none is called twice.
    assert [] == [numbers for numbers in attempts.values() if numbers != sorted(set(numbers))]
    assert any(len(numbers) > 1 for numbers in attempts.values())
