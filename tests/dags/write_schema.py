"""Write `schema/dag.json` anew: `python -m tests.dags.write_schema`."""

from __future__ import annotations

import json
from pathlib import Path

from core.dag.schema import document_schema
from tests.dags.built_in import built_in_catalog

FILE = Path(__file__).parents[2] / "schema" / "dag.json"


def schema_text() -> str:
    """Give the text of the committed file."""
    return json.dumps(document_schema(built_in_catalog()), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text())
