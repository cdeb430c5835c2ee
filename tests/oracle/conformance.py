"""The conformance cases of cel-spec, as the npm package @bufbuild/cel-spec carries them: installed, never copied."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from core.expression.value import TypeName, key_of

ROOT = Path(__file__).parents[2]
PREFIX = ROOT / "build" / "npm"
PACKAGE = "@bufbuild/cel-spec"
# The version whose cases were gone through; another one may bring sections that nobody has looked at.
VERSION = "0.6.1"
INSTALL_TIMEOUT_S = 120

# Sections that are no part of this language, each with its reason.
EXCLUDED_SECTIONS = {
    "bindings_ext": "extension library of macros",
    "block_ext": "extension library of macros",
    "dynamic": "protobuf messages",
    "encoders_ext": "extension library; base64() here takes text",
    "enums": "protobuf messages",
    "macros2": "extension library of macros with two variables",
    "math_ext": "extension library",
    "namespace": "names with dots in a protobuf package",
    "network_ext": "extension library",
    "optionals": "extension library",
    "proto2": "protobuf messages",
    "proto2_ext": "protobuf messages",
    "proto3": "protobuf messages",
    "string_ext": "extension library",
    "type_deductions": "expects types of a checker for protobuf, such as wrapper(int)",
    "unknowns": "partial evaluation",
    "wrappers": "protobuf messages",
}
# What an expression has that this language does not, each with its reason.
EXCLUDED_SYNTAX = {
    r"\d[uU]\b|\buint\b": "unsigned integers: JSON has none",
    r"TestAllTypes|google\.protobuf|proto[23]|NestedMessage|NestedEnum": "protobuf messages",
    r"0\.0/0\.0": "NaN is an error (S30)",
    r"\.\d{7,9}Z|\bns\b|\dns'": "nanoseconds: times here count microseconds",
}
# Single cases, each with its reason.
EXCLUDED_CASES = {
    "fp_math/fp_math/divide_zero": "infinity is an error (S30)",
    "fp_math/fp_math/fp_overflow_positive": "infinity is an error (S30)",
    "fp_math/fp_math/fp_overflow_negative": "infinity is an error (S30)",
    "fp_math/fp_math/mod_not_support": "% on doubles is fmod (S30)",
}


class Case(msgspec.Struct, frozen=True):
    """One case of the common subset."""

    name: str
    text: str
    bindings: dict[str, Any]
    value: Any
    is_error: bool
    is_checked: bool


def read_cases() -> tuple[list[Case], dict[str, int]]:
    """Give the cases of the common subset, and how many were left out for each reason."""
    cases: list[Case] = []
    left_out: dict[str, int] = {}
    for section in _load()["suites"]:
        for suite in section.get("suites", []):
            for test in suite.get("tests", []):
                original = test["original"]
                name = f"{section['name']}/{suite['name']}/{original.get('name', '')}"
                reason = _reason(section["name"], name, original)
                if reason is None:
                    cases.append(_case(name, original))
                else:
                    left_out[reason] = left_out.get(reason, 0) + 1
    return cases, left_out


def _load() -> dict[str, Any]:
    if not (PREFIX / "node_modules" / PACKAGE / "package.json").exists():
        PREFIX.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(PREFIX), "--no-audit", "--no-fund", f"{PACKAGE}@{VERSION}"]
        subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True)
    module = PREFIX / "node_modules" / PACKAGE / "dist" / "esm" / "testdata" / "conformance.js"
    script = f"import {{ tests }} from {json.dumps(str(module))}; process.stdout.write(JSON.stringify(tests));"
    command = ["node", "--input-type=module", "-e", script]
    found = subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True)
    tests: dict[str, Any] = msgspec.json.decode(found.stdout)
    return tests


def _reason(section: str, name: str, original: dict[str, Any]) -> str | None:
    if section in EXCLUDED_SECTIONS:
        return EXCLUDED_SECTIONS[section]
    if name in EXCLUDED_CASES:
        return EXCLUDED_CASES[name]
    whole = json.dumps([original["expr"], original.get("bindings"), original.get("value"), original.get("typeEnv")])
    for pattern, reason in EXCLUDED_SYNTAX.items():
        if re.search(pattern, original["expr"]):
            return reason
    if "uint64Value" in whole or "objectValue" in whole or "messageType" in whole or "enumValue" in whole:
        return "protobuf messages and unsigned integers among the values"
    if any("." in key for key in original.get("bindings", {})) or original.get("container"):
        return "names with dots in a protobuf package"
    if any("function" in declared for declared in original.get("typeEnv", [])):
        return "functions that the case declares itself"
    return None


def _case(name: str, original: dict[str, Any]) -> Case:
    errors = original.get("evalError")
    return Case(
        name=name,
        text=original["expr"],
        bindings={key: value_of(bound["value"]) for key, bound in original.get("bindings", {}).items()},
        value=None if errors else value_of(original.get("value", {"boolValue": True})),
        is_error=errors is not None,
        is_checked=not original.get("disableCheck"),
    )


def value_of(tagged: dict[str, Any]) -> Any:
    """Turn a value of the cases' JSON form into ours."""
    ((tag, value),) = tagged.items()
    match tag:
        case "int64Value":
            return int(value)
        case "doubleValue":
            return float(value)
        case "bytesValue":
            return base64.b64decode(value)
        case "listValue":
            return [value_of(item) for item in value.get("values", [])]
        case "mapValue":
            return {key_of(value_of(e["key"])): value_of(e["value"]) for e in value.get("entries", [])}
        case "typeValue":
            return TypeName(value)
        case _:
            return value


def is_same(expected: Any, actual: Any) -> bool:
    """Compare two values in kind and amount; zeros of either sign are one."""
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(is_same, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(is_same(expected[key], actual[key]) for key in expected)
    return type(expected) is type(actual) and bool(expected == actual)
