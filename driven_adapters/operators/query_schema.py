"""JSON Schemas of `@data/query`."""

from __future__ import annotations

from typing import Any

from core.file.name import NAME_CHARACTERS_MAX
from core.ports.task_runner import CODE_BYTES_MAX, CPU_S_MAX, MEMORY_MIB_MAX, WALL_S_MAX
from driven_adapters.operators.file import FILE_SCHEMA, ID_OR_NAME, ONE_FILE

FORMATS = ("csv", "json", "parquet")
ROWS_BYTES_MAX = 256 * 1024  # of rows as the output; more become a file (engine.md 1: values from here lie elsewhere)
SOURCE_COUNT_MAX = 64  # tables and files together; each file is a rule of the kernel for the process
THREADS = 2
MEMORY_MIB_DEFAULT = 512
MEMORY_MIB_MIN = 256  # the library and its threads take 190
WALL_S_DEFAULT = 300.0
_SQL_NAME = {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_FORMAT = {"enum": list(FORMATS)}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}

QUERY_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sql": {"type": "string", "minLength": 1, "maxLength": CODE_BYTES_MAX},
        "parameters": {"type": "object", "propertyNames": _SQL_NAME, "additionalProperties": _SCALAR, "default": {}},
        "tables": {
            "type": "object",
            "propertyNames": _SQL_NAME,
            "additionalProperties": {"type": "array", "items": {"type": "object"}},
            "maxProperties": SOURCE_COUNT_MAX,
            "default": {},
        },
        "files": {
            "type": "object",
            "propertyNames": _SQL_NAME,
            "additionalProperties": {
                "type": "object",
                "properties": {**ONE_FILE, "format": _FORMAT},
                "oneOf": ID_OR_NAME,
                "additionalProperties": False,
            },
            "maxProperties": SOURCE_COUNT_MAX,
            "default": {},
        },
        "into": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX},
                "format": _FORMAT,
            },
            "required": ["name"],
            "additionalProperties": False,
        },
        "limits": {
            "type": "object",
            "properties": {
                "wall_s": {"type": "number", "exclusiveMinimum": 0, "maximum": WALL_S_MAX, "default": WALL_S_DEFAULT},
                "cpu_s": {"type": "number", "exclusiveMinimum": 0, "maximum": CPU_S_MAX},
                "memory_mib": {
                    "type": "integer",
                    "minimum": MEMORY_MIB_MIN,
                    "maximum": MEMORY_MIB_MAX,
                    "default": MEMORY_MIB_DEFAULT,
                },
            },
            "additionalProperties": False,
        },
    },
    "required": ["sql"],
    "additionalProperties": False,
}

QUERY_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                "required": ["name", "type"],
            },
        },
        "rows": {"type": "array", "items": {"type": "object"}},
        "row_count": {"type": "integer"},
        "file": {"anyOf": [FILE_SCHEMA, {"type": "null"}]},
    },
    "required": ["columns", "rows", "row_count", "file"],
    "additionalProperties": False,
}
