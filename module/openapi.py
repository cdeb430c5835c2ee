"""`python -m module.openapi > schema/openapi.json`: the committed OpenAPI document, which a test compares."""

from __future__ import annotations

import sys

from driver_adapters.http.app import openapi_document
from module.settings import Settings


def main() -> None:
    """Print the document for the default prefix."""
    sys.stdout.buffer.write(openapi_document(Settings().http_prefix))


if __name__ == "__main__":
    main()
