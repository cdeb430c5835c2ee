"""The metrics as a real Prometheus scrapes them from the real process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from driven_adapters.telemetry.catalog import CATALOG
from tests.e2e.processes import environment, flow, free_port
from tests.e2e.test_traces import Client

READY_S_MAX = 60.0  # its start takes under a second alone
POLL_S = 0.1
NOOP = {"title": "One", "steps": [{"id": "a", "operator": "@debug/noop"}]}


class Prometheus:
    """Asks a server for what it has scraped."""

    def __init__(self, base: str, log: Path) -> None:
        self._base = base
        self._log = log

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"{self._base}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - a server of this test
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def metadata(self) -> dict[str, list[dict[str, str]]]:
        with urllib.request.urlopen(f"{self._base}/api/v1/metadata") as answer:  # noqa: S310 - as above
            found: dict[str, list[dict[str, str]]] = json.load(answer)["data"]
            return found

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """Wait until an expression gives something."""
        pause, until = threading.Event(), time.perf_counter() + READY_S_MAX
        while time.perf_counter() < until:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if found := self.query(expression):
                    return found
            pause.wait(POLL_S)
        raise AssertionError(f"nothing for {expression}:\n{self._log.read_text()}")


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Run a server that scrapes one target every second."""
    folder.mkdir()
    config, log, port = folder / "prometheus.yml", folder / "log", free_port()
    config.write_text(json.dumps({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "flow", "static_configs": [{"targets": [target]}]}],
    }))  # fmt: skip
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is missing: .ci/programs installs it"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Prometheus(f"http://127.0.0.1:{port}", log)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def test_prometheus_scrapes_every_metric_of_the_catalogue_and_has_nothing_to_complain_of(tmp_path: Path) -> None:
    with flow("serve", given=environment(tmp_path / "data")) as process:
        client = Client(process)
        dag, _ = client.post("/dags", NOOP)
        for _ in range(3):
            client.post(f"/dags/{dag['id']}/run?wait=30", {})
        with prometheus(tmp_path / "prometheus", client.private.removeprefix("http://")) as server:
            (ended,) = server.wait_for('flow_instances_ended_total{outcome="succeeded"}')
            assert "3" == ended["value"][1]
            (up,) = server.query('up{job="flow"}')
            assert "1" == up["value"][1]
            runs = server.query('flow_http_requests_total{method="POST",status="200",route=~".*/run"}')
            assert ["3"] == [series["value"][1] for series in runs]
            (median,) = server.query("histogram_quantile(0.5, sum by (le) (flow_attempt_seconds_bucket))")
            assert 0 < float(median["value"][1]) < 10
            known = server.metadata()
        with urllib.request.urlopen(f"{client.private}/metrics") as answer:  # noqa: S310 - our own process
            shown = answer.read()

    expected = {spec.shown_name: spec.kind for spec in CATALOG if not spec.name.startswith("flow_trace")}
    assert expected == {name: entries[0]["type"] for name, entries in known.items() if name in expected}
    assert set() == {name for name in known if name.startswith("flow_")} - set(expected)
    checked = subprocess.run(["promtool", "check", "metrics"], input=shown, capture_output=True, check=False)
    assert (0, b"") == (checked.returncode, checked.stdout + checked.stderr)
