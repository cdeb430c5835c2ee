"""docs/cli.md: the commands as a page, made from their declarations."""

from __future__ import annotations

import re

from cyclopts import App

from driver_adapters.cli.exits import MEANINGS

_HEAD = """\
# The command line

`flow` runs the service, checks documents on this machine, and speaks to a server over HTTP. Which server and with which
key say `FLOW_URL` and `FLOW_API_KEY`. `serve`, `example`, `validate`, `plan` of a file, `init`, `config`, `db`,
`doctor` and `completion` need no server.

Values go to standard output, everything else to standard error. `-o table` is for people: it is cut to the terminal's
width and may change between releases. `-o json` and `-o yaml` hold the API's own fields, whole. `NO_COLOR` turns
colours off; what is not a terminal gets none.

## Exit status

These numbers do not change.

| status | meaning |
|---|---|
"""


# The library puts the way in which the running program was started behind the name of a command.
_STARTED_BY = re.compile(r"^(flow(?: [a-z]+)*) -m [\w.]+", re.MULTILINE)


def render_page(app: App) -> str:
    """Give the page as Markdown, with a line feed at its end."""
    rows = "".join(f"| {status} | {meaning} |\n" for status, meaning in MEANINGS.items())
    commands = app.generate_docs(output_format="markdown", heading_level=2, usage_name="flow")
    told = _STARTED_BY.sub(r"\1", commands).strip()
    return f"{_HEAD}{rows}\n{told}\n"
