"""`flow dags`: list, read and apply stored DAGs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from driver_adapters.cli.api_client import ROWS_MAX, ApiClient, part
from driver_adapters.cli.exits import OK, USAGE, CommandFailed
from driver_adapters.cli.inputs import form_of, read_file
from driver_adapters.cli.options import LIMIT_DEFAULT, Limit, Output, Switch
from driver_adapters.cli.output import print_value

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")  # a ULID; a title that looks like one is found by its id only
Status = Literal["normal", "stopped"]
Sort = Literal["created_at", "-created_at", "title", "-title", "updated_at", "-updated_at"]
_COLUMNS = ("id", "title", "version", "status", "tags", "updated_at")


def add_dags(dags: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @dags.command(name="list")
    def list_(
        *,
        text: str | None = None,
        tag: str | None = None,
        status: Status | None = None,
        sort: Sort = "created_at",
        limit: Limit = LIMIT_DEFAULT,
        output: Output = "table",
    ) -> int:
        """List stored DAGs.

        Parameters
        ----------
        text
            Only where this stands in the title.
        tag
            Only with this tag.
        status
            Only with this status.
        sort
            The order; with a minus from the other end.
        """
        query = {"text": text, "tag": tag, "status": status, "sort": sort}
        print_value(client_of().rows("/dags", query, limit), output, _COLUMNS)
        return OK

    @dags.command
    def get(dag: str, /, *, version: str | None = None, document: Switch = False, output: Output = "table") -> int:
        """Show a DAG.

        Parameters
        ----------
        dag
            Title or id.
        version
            This published version of it, instead of the DAG as it is now.
        document
            Print only the document, as YAML or, with `-o json`, as JSON.
        """
        client = client_of()
        path = dag_path(client, dag)
        shown = client.get(path if version is None else f"{path}/versions/{part(version)}")
        if document:
            print_value(shown["document"], "json" if output == "json" else "yaml")
        else:
            print_value({name: shown[name] for name in shown if name != "document" or output != "table"}, output)
        return OK

    _add_apply(dags, client_of)


def _add_apply(dags: App, client_of: Callable[[], ApiClient]) -> None:
    @dags.command
    def apply(files: tuple[Path, ...], /, *, output: Output = "table") -> int:
        """Publish documents by their titles; the same content makes no new version.

        Parameters
        ----------
        files
            YAML or JSON documents; the first one that is refused ends the command.
        """
        client = client_of()
        print_value([apply_file(client, file) for file in files], output, _COLUMNS)
        return OK


def dag_path(client: ApiClient, title_or_id: str) -> str:
    """Give the path of a stored DAG.

    Raises:
        CommandFailed: there is none.
    """
    return f"/dags/{part(find_dag(client, title_or_id)['id'])}"


def apply_file(client: ApiClient, file: Path) -> Any:
    """Publish a document by its title.

    Raises:
        CommandFailed: not readable, refused, denied or not reachable.
    """
    media_type = "application/json" if form_of(file) == "json" else "application/yaml"
    return client.post("/dags", read_file(file), media_type, {"if_exists": "publish"})


def find_dag(client: ApiClient, title_or_id: str) -> Any:
    """Give a stored DAG as it is listed, looked for by its id or its title.

    Raises:
        CommandFailed: there is none.
    """
    if _ID.fullmatch(title_or_id):
        return client.get(f"/dags/{title_or_id}")
    for row in client.rows("/dags", {"text": title_or_id or None}, ROWS_MAX):
        if row["title"] == title_or_id:
            return row
    raise CommandFailed(
        USAGE,
        f"no DAG has the title or id {title_or_id!r}",
        "`flow dags list` shows them; a file ends in .yaml or .json",
    )
