"""Commands that need neither server nor store: plan, init, completion, and the page that tells of all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pytest

from driver_adapters.cli.commands import build_cli
from driver_adapters.cli.exits import MEANINGS
from driver_adapters.cli.page import render_page
from driver_adapters.cli.scaffold import DAG_FILE, SCHEMA_FILE
from driver_adapters.http.openapi import API_VERSION
from module.main import DISTRIBUTION, run_command, wire_commands

ROOT = Path(__file__).parents[3]
SHELLS: tuple[Literal["bash", "zsh", "fish"], ...] = ("bash", "zsh", "fish")
DOCUMENT = """
title: Plan
inputs:
  type: object
  required: [a, b]
  properties: {a: {type: integer}, b: {type: integer, default: 3}, c: {type: string}}
settings: {timeout_s: 60, priority: 2}
steps:
  - {id: last, operator: "@debug/noop", depends_on: [left, right], join: all_done}
  - {id: left, operator: "@http/request", depends_on: [], parameters: {url: "https://a/"}, timeout: {total_s: 9}}
  - {id: right, operator: "@debug/fail", depends_on: [], when: "inputs.a > 1", on_error: continue}
  - id: each
    operator: "@control/map"
    depends_on: [last]
    parameters:
      items: [1, 2]
      max_concurrency: 5
      steps:
        - id: which
          operator: "@control/branch"
          parameters:
            mode: all
            branches:
              - {id: big, when: "item > 1", steps: [{id: inner, operator: "@debug/noop"}]}
  - id: both
    operator: "@control/parallel"
    parameters: {branches: [{id: one, steps: [{id: p, operator: "@text/join", parameters: {items: ["a"]}}]}]}
    on_error: [{id: mend, operator: "@debug/noop"}]
outputs: {b: 1, a: 2}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dag.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture
def planned(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert 0 == run_command(["plan", str(file), "-o", "json"]), capsys.readouterr().err
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_steps_stand_in_the_order_in_which_they_may_start(planned: dict[str, Any]) -> None:
    stages = [(step["stage"], step["step"], step["after"]) for step in planned["steps"]]
    assert [
        ("1", "left", []), ("1", "right", []), ("2", "last", ["left", "right"]), ("3", "each", ["last"]),
        ("3.steps.1", "which", []), ("3.steps.1.big.1", "inner", []), ("4", "both", ["each"]), ("4.one.1", "p", []),
        ("4.on_error.1", "mend", []),
    ] == stages  # fmt: skip


def test_calls_and_limits_are_told(planned: dict[str, Any]) -> None:
    told = {step["step"]: step for step in planned["steps"]}
    assert ("up to 3 attempts", 9.0) == (told["left"]["runs"], told["left"]["limits"]["total_s"])
    assert ("1 attempt", "continue", "inputs.a > 1") == (
        told["right"]["runs"], told["right"]["limits"]["on_error"], told["right"]["when"],
    )  # fmt: skip
    assert ("each of 2 items", 5, "fail") == (
        told["each"]["runs"], told["each"]["limits"]["max_concurrency"], told["each"]["limits"]["on_item_error"],
    )  # fmt: skip
    assert ("every branch that matches", "big: item > 1") == (told["which"]["runs"], told["which"]["when"])
    assert ("all branches", "list") == (told["both"]["runs"], told["both"]["limits"]["on_error"])
    assert ("in the engine", "1 attempt", "all_done") == (
        told["p"]["runs"],
        told["inner"]["runs"],
        told["last"]["join"],
    )


def test_surroundings_of_the_steps_are_told(planned: dict[str, Any]) -> None:
    assert [
        {"name": "a", "is_required": True}, {"name": "b", "is_required": False, "default": 3}, {"name": "c", "is_required": False},
    ] == planned["inputs"]  # fmt: skip
    assert ["a", "b"] == planned["outputs"]
    assert {"timeout_s": 60.0, "priority": 2} == planned["settings"]


def test_plan_is_a_table_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["plan", str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert "inputs    a, b=3, c?" in lines
    assert "settings  timeout_s=60, priority=2" in lines
    assert any(line.split() == ["3.steps.1.big.1", "inner", "@debug/noop", "1", "attempt"] for line in lines)


HOOKED = """
title: Hooked
settings:
  on_failure: [{id: mourn, operator: "@debug/noop"}]
  on_finish: [{id: tell, operator: "@debug/noop"}, {id: rest, operator: "@control/wait", parameters: {seconds: 5}}]
steps:
  - id: turn
    operator: "@control/loop"
    parameters: {mode: each, items: [1, 2], steps: [{id: work, operator: "@debug/noop"}], break_when: "item > 5"}
  - id: again
    operator: "@control/loop"
    parameters: {mode: count, limit: "{{ 1 + 1 }}", steps: [{id: more, operator: "@debug/noop"}]}
  - {id: until, operator: "@control/wait", parameters: {until: "2020-01-01T00:00:00Z"}}
"""


def test_loops_tries_waits_and_hooks_are_planned(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 0 == run_command(["plan", str(ROOT / "examples" / "loop.yaml"), "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    steps = {step["step"]: step for step in told["steps"]}
    assert ["1", "1.steps.1", "2", "2.steps.1", "2.catch.1", "2.finally.1", "on_finish.1"] == [
        step["stage"] for step in told["steps"]
    ]
    assert ("while loops.double.last == null || loops.double.last < inputs.goal", {"max_iterations": 1000}) == (
        steps["double"]["runs"], steps["double"]["limits"],
    )  # fmt: skip
    assert "steps, catch on failure, finally in every case" == steps["seat"]["runs"]
    assert [("next", "steps", "runs"), ("waiting_list", "catch", "runs"), ("tell", "on_finish", "runs")] == [
        (step["step"], step["list"], step["status"])
        for step in told["dry_run"]["steps"]
        if step["step"] in ("next", "waiting_list", "tell")
    ]
    file = tmp_path / "hooked.yaml"
    file.write_text(HOOKED)
    assert 0 == run_command(["plan", str(file)])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "1 turn @control/loop each of 2 items, in turn, until item > 5 max_iterations=1000",
        "2 again @control/loop turn 1 + 1 times max_iterations=1000",
        "3 until @control/wait again waits until 2020-01-01T00:00:00Z",
        "on_failure.1 mourn @debug/noop 1 attempt",
        "on_finish.2 rest @control/wait tell waits 5 s",
        "mourn on_failure skipped no_failure {}",
    ):
        assert line in lines
    assert any(line.startswith("rest on_finish runs, succeeded 5 s, until 20") for line in lines)


def test_plan_without_needed_inputs_says_nothing_of_a_run(planned: dict[str, Any]) -> None:
    assert planned["dry_run"] is None


def test_plan_with_inputs_rehearses_the_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--given", 'left={"status": 200, "headers": {}, "body": 1}', "--given-error", "right=failed"]
    assert 0 == run_command(["plan", str(file), "-i", "a=2", *given, "-o", "json"])
    told = json.loads(capsys.readouterr().out)["dry_run"]
    steps = {step["step"]: (step["status"], step["outcome"]) for step in told["steps"]}
    assert ("runs", "failed") == steps["right"]
    assert [("runs", "succeeded")] * 3 == [steps[step] for step in ("left", "last", "inner")]
    assert (("evaluated", "succeeded"), ("skipped", None)) == (steps["p"], steps["mend"])
    assert ("succeeded", None, "without a server there is no history") == (
        told["outcome"], told["forecast"], told["no_forecast"],
    )  # fmt: skip


def test_rehearsed_run_is_a_table_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["plan", str(file), "--input", "a=1", "--given", "left=text"])
    lines = capsys.readouterr().out.splitlines()
    assert "forecast  without a server there is no history" in lines
    assert any(line.split()[:3] == ["right", "skipped", "when"] for line in lines)
    assert any(line.startswith("left ") and '"kind":"invalid"' in line for line in lines)  # text is no such output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-i", "a=x"), "/a"),
        (("-i", "a=1", "--given", "none=1"), "/outputs/none"),
        (("-i", "a=1", "--given-error", "left=odd"), "'odd' is no kind of error"),
        (("--given", "left"), "is not STEP=VALUE"),
    ],
)
def test_what_cannot_be_rehearsed_is_wrong_usage(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert 2 == run_command(["plan", str(file), *arguments])
    told = capsys.readouterr()
    assert "" == told.out
    assert said in told.err


def test_faulty_document_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dag.yaml"
    file.write_text("title: T\nsteps:\n  - {id: a, operator: '@debug/nop'}\n")
    assert 2 == run_command(["plan", str(file)])
    said = capsys.readouterr()
    assert "" == said.out
    assert "dag.operator.unknown" in said.err


def test_scaffold_is_a_valid_dag_with_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made" / "here"
    assert 0 == run_command(["init", str(folder), "-o", "json"])
    assert {"written"} == set(json.loads(capsys.readouterr().out).values())
    assert {DAG_FILE, SCHEMA_FILE, "README.md", ".gitignore"} == {path.name for path in folder.iterdir()}
    assert 0 == run_command(["validate", str(folder / DAG_FILE)])
    first_line = (folder / DAG_FILE).read_text().splitlines()[0]
    assert f"# yaml-language-server: $schema=./{SCHEMA_FILE}" == first_line
    assert (ROOT / "schema" / "dag.json").read_bytes() == (folder / SCHEMA_FILE).read_bytes()
    commands = [line.split() for line in (folder / "README.md").read_text().splitlines() if line.startswith("    flow")]
    assert ["validate", "plan", "run"] == [words[1] for words in commands]


def test_scaffold_keeps_what_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / DAG_FILE).write_text("mine")
    assert 0 == run_command(["init", str(tmp_path), "-o", "json"])
    done = json.loads(capsys.readouterr().out)
    assert ("kept", "written") == (done[str(tmp_path / DAG_FILE)], done[str(tmp_path / SCHEMA_FILE)])
    assert "mine" == (tmp_path / DAG_FILE).read_text()


def test_scaffold_that_cannot_be_written_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert 2 == run_command(["init", str(tmp_path / "file")])
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed_for_every_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_command(["completion", shell])
    assert "instances" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "completed"),
    [(["flow", "pl"], {"plan"}), (["flow", "instances", "sh"], {"show"}), (["flow", "run", "--wa"], {"--wait", "--watch"}),
     (["flow", "dags", "list", "-o", "y"], {"yaml"}), (["flow", "completion", "z"], {"zsh"})],
)  # fmt: skip
def test_bash_completes_commands_options_and_values(words: list[str], completed: set[str], tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None, "the Makefile's recipes and this test need bash"
    script = tmp_path / "flow.bash"
    script.write_text(_script("bash"))
    asked = f"""
        source {script}
        COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
        _flow
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "--noprofile", "--norc", "-c", asked], capture_output=True, text=True, check=True)
    assert "" == done.stderr
    assert completed == set(done.stdout.split())


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_shell_of_this_machine_takes_its_script(shell: Literal["bash", "zsh", "fish"], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(_script(shell))
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_one_setting_is_printed_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOW_URL", "http://example.test:1")
    monkeypatch.setenv("FLOW_API_KEY", "flow_secret")
    assert 0 == run_command(["config", "get", "FLOW_URL"])
    assert 0 == run_command(["config", "get", "FLOW_API_KEY"])
    assert "http://example.test:1\n***\n" == capsys.readouterr().out
    assert 2 == run_command(["config", "get", "FLOW_URI"])
    assert "flow config show" in capsys.readouterr().err


def test_committed_page_tells_of_the_commands_as_they_are() -> None:
    told = render_page(build_cli(wire_commands(), API_VERSION))
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == told, "python -m module.cli_page > docs/cli.md"


def test_version_of_the_command_line_is_that_of_the_api() -> None:
    assert API_VERSION == version(DISTRIBUTION)


def test_command_that_calls_a_server_does_not_wait_for_the_engine() -> None:
    """Server, store and engine take a second to import."""
    program = (
        "import sys, module.main; print([name for name in ('litestar', 'apsw', 'core.engine') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[]" == loaded.stdout.strip()


def test_page_has_every_exit_status_and_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert list(MEANINGS) == [
        int(line.split("|")[1]) for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()
    ]
    assert "flow instances terminate [OPTIONS] IDS" in page


def test_closed_pipe_ends_a_command_quietly() -> None:
    """Its reader is gone before it writes, as with `flow config show | true`."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "module.main", "completion", "bash"]
    done = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (141, b"") == (done.returncode, done.stderr)


def _script(shell: Literal["bash", "zsh", "fish"]) -> str:
    return build_cli(wire_commands(), API_VERSION).generate_completion(shell=shell)
