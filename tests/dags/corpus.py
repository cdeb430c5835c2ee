"""Valid DAGs that together use the whole grammar that this release runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.dag.document import read_document

FOLDER = Path(__file__).parent


def valid_documents() -> dict[str, bytes]:
    """Give every valid document by its file's name."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in (".yaml", ".json")}


def valid_values() -> dict[str, dict[str, Any]]:
    """Give every valid document as a value."""
    return {name: read_document(data).value for name, data in valid_documents().items()}
