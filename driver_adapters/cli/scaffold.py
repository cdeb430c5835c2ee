"""`flow init`: a folder to begin with. What exists is kept."""

from __future__ import annotations

from pathlib import Path

from driver_adapters.cli.exits import USAGE, CommandFailed

DAG_FILE = "dag.yaml"
SCHEMA_FILE = "dag.schema.json"

_DAG = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
title: Hello
inputs:
  type: object
  properties:
    names: {{type: array, items: {{type: string}}, default: [Ada, Grace]}}
steps:
  - id: greetings
    operator: "@control/map"
    parameters:
      items: "{{{{ inputs.names }}}}"
      steps:
        - id: greet
          operator: "@text/template"
          parameters: {{template: "Hello, {{name}}!", values: {{name: "{{{{ item }}}}"}}}}
  - id: letter
    operator: "@text/join"
    parameters: {{items: "{{{{ steps.greetings.output }}}}", separator: " "}}
outputs: {{text: "{{{{ steps.letter.output }}}}"}}
"""
_GITIGNORE = """\
# Settings of one machine, and the store of `flow serve`.
.env.local
data/
"""
_README = f"""\
# Hello

`{DAG_FILE}` is a DAG of Flow Automation: steps and what they depend on. Editors that know the YAML language server
check it against `{SCHEMA_FILE}` while you type.

    flow validate {DAG_FILE}
    flow plan {DAG_FILE}
    flow run {DAG_FILE} --watch --input 'names=["you"]'

The first two need nothing else. The third calls a server: `flow serve` starts one on this machine and prints a key,
shown once, which belongs into `FLOW_API_KEY`.
"""


def write_scaffold(folder: Path, dag_schema: bytes) -> dict[str, str]:
    """Write the files that are missing, the folder included; gives for each file whether it was `written` or `kept`.

    Raises:
        CommandFailed: a file cannot be written.
    """
    files = {
        DAG_FILE: _DAG.encode(),
        SCHEMA_FILE: dag_schema,
        ".gitignore": _GITIGNORE.encode(),
        "README.md": _README.encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {str(folder / name): _write(folder / name, data) for name, data in files.items()}
    except OSError as error:
        raise CommandFailed(USAGE, f"{error.filename or folder} cannot be written: {error.strerror}") from error


def _write(file: Path, data: bytes) -> str:
    """Write a file that is new; `x` leaves one alone that comes between looking and writing."""
    try:
        with file.open("xb") as made:
            made.write(data)
    except FileExistsError:
        return "kept"
    return "written"
