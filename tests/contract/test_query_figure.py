"""A step that queries Parquet costs little more than DuckDB alone, the process of its own included."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.executor.operator import Succeeded
from tests.contract.test_data_query import parquet, world
from tests.figures import figure

ROW_COUNT = 1_000_000
ROUND_COUNT = 5
RATIO_MAX = 1.5
ROWS = """SELECT range AS id, range % 1000 AS g, hash(range) / 1e19 AS v, 'name ' || (hash(range) % 100000) AS name
    FROM range(1000000)"""
SQL = "SELECT g, count(DISTINCT name) AS names, median(v) AS middle, sum(v) AS total FROM f GROUP BY g ORDER BY g"
# The same query as a program that a person would write: an interpreter, the library, as many threads.
BARE = """
import sys, duckdb
connection = duckdb.connect(config={"threads": "2"})
connection.execute("CREATE TEMP VIEW f AS SELECT * FROM read_parquet('" + sys.argv[1] + "')")
print(len(connection.execute(sys.argv[2]).fetchall()))
"""


def bare_s(path: Path) -> float:
    began_at = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", BARE, str(path), SQL], capture_output=True, text=True, check=True)
    assert "1000" == done.stdout.strip()
    return time.perf_counter() - began_at


@pytest.mark.timed
async def test_query_of_parquet_takes_at_most_half_as_long_again_as_bare_duckdb(tmp_path: Path) -> None:
    ratios = []
    async with world(tmp_path) as at:
        content = parquet(tmp_path, ROWS)
        row = await at.store("rows.parquet", content)
        for number in range(ROUND_COUNT + 1):
            alone_s = await asyncio.to_thread(bare_s, tmp_path / "made.parquet")
            began_at = time.perf_counter()
            outcome = await at.ask(SQL, files={"f": {"id": row.id}})
            took_s = time.perf_counter() - began_at
            assert isinstance(outcome, Succeeded)
            assert 1000 == outcome.output["row_count"]
            if number:  # the first round fills caches for both
                ratios.append(took_s / alone_s)
    ratio = statistics.median(ratios)
    assert figure("query_parquet_ratio", ratio, f"<= {RATIO_MAX}", ratio <= RATIO_MAX, n=ROUND_COUNT, rows=ROW_COUNT)
