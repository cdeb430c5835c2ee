"""A DAG built in Python: the same document as one written by hand, as a value, YAML or JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import yaml

from flow_automation.expression import rendered
from flow_automation.policy import DagType, JsonSchema, Settings, Trigger
from flow_automation.step import StepList

if TYPE_CHECKING:
    from flow_automation.client import Publisher

# Words like these are text in YAML 1.1 and 1.2 alike; whatever else a text may be, quotes keep it one.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*")
_LINE_CHARACTERS_MAX = 1_000_000  # no folding: a text of a document stands in one line, whatever its length


class Dag(StepList):
    """A DAG and its top list of steps.

    ```python
    dag = Dag("Hello", inputs=record({"name": text(default="world")}))
    greet = dag.step("greet", "@text/template", {"template": "Hello, {name}!", "values": {"name": inputs.name}})
    dag.outputs({"greeting": greet.output})
    ```
    """

    def __init__(
        self,
        title: str,
        *,
        description: str | None = None,
        type: DagType | None = None,  # noqa: A002 - the language's own word
        status: Literal["normal", "stopped"] | None = None,
        tags: Sequence[str] | None = None,
        triggers: Sequence[Trigger] | None = None,
        inputs: JsonSchema | None = None,
        constants: Mapping[str, object] | None = None,
        settings: Settings | None = None,
        version: str | None = None,
        change_log: str | None = None,
        schema_url: str | None = None,
    ) -> None:
        """Begin a document with the fields of dag-language.md 1; None writes nothing.

        Args:
            title: unique in its business domain; publishing under it again makes the next version.
            constants: the field `vars`.
            schema_url: the field `$schema`, for editors.
        """
        steps: list[dict[str, Any]] = []
        super().__init__(steps)
        fields = {
            "$schema": schema_url, "title": title, "description": description, "type": type, "status": status,
            "tags": tags, "triggers": triggers, "inputs": inputs, "vars": constants, "settings": settings,
            "version": version, "change_log": change_log,
        }  # fmt: skip
        self._document: dict[str, Any] = {
            name: rendered(value, f"/{name}") for name, value in fields.items() if value is not None
        }
        self._document["steps"] = steps

    @property
    def title(self) -> str:
        """The DAG's title."""
        return str(self._document["title"])

    def outputs(self, value: object) -> None:
        """Set what an instance gives when it succeeded."""
        self._document["outputs"] = rendered(value, "/outputs")

    def on_failure(self) -> StepList:
        """Begin the list that runs when an instance failed."""
        return StepList(self._document.setdefault("settings", {}).setdefault("on_failure", []))

    def on_finish(self) -> StepList:
        """Begin the list that runs at every end."""
        return StepList(self._document.setdefault("settings", {}).setdefault("on_finish", []))

    def to_document(self) -> dict[str, Any]:
        """Give the document as a JSON value of its own."""
        document: dict[str, Any] = rendered(self._document)
        return document

    def to_json(self) -> str:
        """Give the document as JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self._document), indent=2).decode()

    def to_yaml(self) -> str:
        """Give the document as YAML 1.2, without aliases."""
        text: str = yaml.dump(
            self._document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE_CHARACTERS_MAX
        )
        return text

    def publish(self, client: Publisher) -> str:
        """Create the DAG, or publish its next version when the title exists; equal content changes nothing.

        Returns:
            The DAG's id.

        Raises:
            RequestRefused: every fault of the document is in `problem["errors"]`. ServerUnreachable: no answer.
        """
        dag = client.post("/dags?if_exists=publish", msgspec.json.encode(self._document), "application/json")
        return str(dag["id"])


class _Dumper(yaml.SafeDumper):
    """Writes what the language reads back as the same value: no aliases, quotes where text might be another type."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts out each time: the language refuses aliases."""
        del data
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if _PLAIN.fullmatch(value) else '"')


_Dumper.add_representer(str, _represent_text)
