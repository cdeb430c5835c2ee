"""Values as people may see them: what stands under a name that says `secret` is not shown."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
# Names under which credentials travel in requests and settings; a value too many that is masked is no harm.
_NAME = re.compile(
    r"authorization|cookie|pass(?:w|phrase)|secret|token|credential|api[-_]?key|private[-_]?key|signature",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Say whether what stands under this name is not shown."""
    return _NAME.search(name) is not None


def masked(value: Any) -> Any:
    """Give a JSON value with every value under such a name replaced, at any depth; the depth of JSON is bounded."""
    if isinstance(value, dict):
        return {key: _masked_under(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value


def _masked_under(key: str, value: Any) -> Any:
    return MASK if is_secret_name(key) and value is not None else masked(value)
