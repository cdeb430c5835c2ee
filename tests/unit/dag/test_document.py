"""Reading texts: the poison corpus, and what the two notations mean."""

from __future__ import annotations

from typing import Any

import pytest

from core.dag.document import JSON_BYTES_MAX, YAML_BYTES_MAX, Format, read_document
from core.errors import DagInvalid, DagUndecodable
from tests.dags.check import problem

POISON: dict[str, bytes] = {
    "nonsense": bytes((n * 7919 + n // 13) % 94 + 32 for n in range(YAML_BYTES_MAX)),
    "nonsense after a brace": b"{" + bytes((n * 7919 + n // 13) % 94 + 32 for n in range(JSON_BYTES_MAX - 1)),
    "zero bytes": bytes(1000),
    "random bytes": bytes(n * n % 256 for n in range(100_000)),
    "json lists 10^5 deep": b'{"a":' + b"[" * 100_000,
    "json objects 10^5 deep": b'{"a":' * 100_000,
    "json lists 65 deep": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "yaml flow lists 10^5 deep": b"[" * 100_000,
    "yaml flow objects 10^5 deep": b"a: " + b"{a: " * 60_000,
    "yaml block lists 10^5 deep": b"- " * 100_000,
    "yaml complex keys 10^5 deep": b"? " * 100_000,
    "json NaN": b'{"a": NaN}',
    "json Infinity": b'{"a": -Infinity}',
    "yaml NaN": b"a: .NaN",
    "yaml infinity": b"a: -.inf",
    "json 1e400": b'{"a": 1e400}',
    "json -1e400": b'{"a": [1, -1e400]}',
    "yaml 1e400": b"a: 1e400",
    "json integer of 5000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "json integer of 20 digits": b'{"a": 99999999999999999999}',
    "json negative integer": b'{"a": [0, -9223372036854775809]}',
    "yaml integer of 5000 digits": b"a: " + b"1" * 5000,
    "yaml integer of 64 bits and one": b"a: 9223372036854775808",
    "yaml hexadecimal of 17 digits": b"a: 0x1ffffffffffffffff",
    "json lone high surrogate": b'{"a": "\\ud800"}',
    "json lone low surrogate": b'{"a": "x\\udc00"}',
    "json surrogates in a wrong order": b'{"a": "\\udc00\\ud800"}',
    "json surrogate then text": b'{"a": "\\ud800x"}',
    "yaml lone surrogate": b'a: "\\ud800"',
    "utf-8 of a surrogate": b'{"a": "\xed\xa0\x80"}',
    "utf-16": "title: T".encode("utf-16"),
    "json equal keys": b'{"a": 1, "a": 2}',
    "json equal keys by an escape": b'{"a": 1, "\\u0061": 2}',
    "json equal keys in a list": b'{"x": [[], {}, {"a": 1, "b": {}, "a": 2}]}',
    "yaml equal keys": b"a: 1\nb: 2\na: 3",
    "yaml equal keys, one quoted": b"{a: 1, 'a': 2}",
    "yaml alias": b"a: &x 1\nb: *x",
    "yaml alias without anchor": b"a: *x",
    "yaml aliased bomb": b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]",
    "yaml merge by alias": b"a: &a {x: 1}\nb: {<<: *a}",
    "yaml tag on an object": b"a: !!python/object:os.system {}",
    "yaml tag on a list": b"a: !x [1]",
    "yaml local tag": b"a: !ref b",
    "yaml tag directive": b"%TAG !e! tag:example.com,2026:\n---\na: 1",
    "yaml version 1.1": b"%YAML 1.1\n---\na: 1",
    "yaml anchor on a key": b"&k a: 1",
    "yaml null key": b"~: 1",
    "yaml number as key": b"1.5: 1",
    "yaml list as key": b"[a]: 1",
    "yaml object as key": b"? {a: 1}\n: 2",
    "yaml two documents": b"a: 1\n---\nb: 2",
    "yaml not closed": b"a: [1, 2",
    "yaml wrong indentation": b"a: 1\n  b: 2",
    "yaml escape of null": b'a: "x\\0"',
    "yaml control character": b"a: x\x07",
    "json escape of null": b'{"a": "\\u0000"}',
    "json null in a key": b'{"a\\u0000": 1}',
    "json control character": b'{"a": "x\x01"}',
    "json trailing comma": b'{"a": 1,}',
    "json truncated": b'{"a": [1, {"b": "c',
    "json two values": b'{"a": 1} {"b": 2}',
    "json single quotes": b"{'a': 1}",
    "json truncated in a number": b'{"a": 1e',
    "json truncated after an escape": b'{"a": "\\ud83d\\ude00 \\\\ud800", "b": "',
    "yaml NaN in a list": b"a: [1, .nan]",
    "json comment": b'{"a": 1 /* x */}',
    "json leading zero": b'{"a": 01}',
    "json plus": b'{"a": +1}',
    "json only minus": b'{"a": -}',
    "json number with a letter": b'{"a": 1e}',
    "empty": b"",
    "only a comment": b"# nothing",
    "white space": b" \n\t ",
}


@pytest.mark.parametrize("name", POISON)
def test_poisoned_text_gives_a_typed_fault_with_a_place(name: str) -> None:
    found = problem(POISON[name])
    assert 1 <= len(found)
    assert all(1 <= one["line"] and 1 <= one["column"] for one in found)
    assert {"dag.syntax"} == {one["code"] for one in found} or name.startswith(("nonsense", "random"))


def test_text_of_64_mib_is_refused_unread() -> None:
    limits: list[tuple[Format, int]] = [("json", JSON_BYTES_MAX), ("yaml", YAML_BYTES_MAX)]
    for format_, limit in limits:
        with pytest.raises(DagInvalid) as caught:
            read_document(b" " * (64 * 1024 * 1024), format_)
        assert "dag.limit" == caught.value.faults[0]["code"]
        assert str(limit) in str(caught.value)


def test_text_within_the_limit_is_read() -> None:
    at_limit = b'{"a": "' + b"x" * (JSON_BYTES_MAX - 9) + b'"}'
    assert JSON_BYTES_MAX == len(at_limit)
    assert JSON_BYTES_MAX - 9 == len(read_document(at_limit).value["a"])


SCALARS: list[tuple[str, Any]] = [
    ("null", None), ("~", None), ("", None), ("Null", None),
    ("true", True), ("False", False), ("TRUE", True),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
    ("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("0o17", 15), ("0xfF", 255), ("-9223372036854775808", -(2**63)),
    ("9223372036854775807", 2**63 - 1), ("0b1", "0b1"), ("1_000", "1_000"), ("12:30:45", "12:30:45"),
    ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-2.5E-1", -0.25), ("1e-400", 0.0), (".", "."), ("-", "-"),
    ("2026-01-31", "2026-01-31"), ("<<", "<<"), ("=", "="), ('"1"', "1"), ("'true'", "true"), ("1.2.3", "1.2.3"),
    ("+", "+"), (".infinity", ".infinity"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [one for one in SCALARS if one[0] != "-"])
def test_plain_scalar_is_resolved_by_the_core_schema(text: str, expected: Any) -> None:
    value = read_document(f"a: {text}\n".encode(), "yaml").value["a"]
    assert (expected, type(expected)) == (value, type(value))


def test_both_notations_give_the_same_value() -> None:
    json = b'\xef\xbb\xbf{"a": [1, {"b": null, "c": [[], {}]}, "x\\ud83d\\ude00\\n"], "d": 1.5, "e": {}}'
    yaml = '\ufeffa:\n- 1\n- b: ~\n  c:\n  - []\n  - {}\n- "x\U0001f600\\n"\nd: 1.5\ne: {}\n'.encode()
    assert read_document(yaml).value == read_document(json, "json").value


def test_first_character_tells_the_notation_when_nobody_does() -> None:
    assert "json" == read_document(b' \n{"a": 1}').format
    assert "yaml" == read_document(b"a: 1").format
    assert "yaml" == read_document(b"{a: 1}", "yaml").format
    with pytest.raises(DagUndecodable):
        read_document(b"{a: 1}")


def test_yaml_of_version_1_2_is_read() -> None:
    assert {"a": 1} == read_document(b"%YAML 1.2\n---\na: 1\n...\n").value


def test_block_text_keeps_its_line_breaks() -> None:
    assert "one\ntwo\n" == read_document(b"a: |\n  one\n  two\n").value["a"]


def test_fault_deep_in_a_json_text_is_placed() -> None:
    text = b'{"title": "T",\n "steps": [{"id": "a", "operator": "@debug/noop"},\n  {"id": "b",\t"operator": 7}]}'
    (fault,) = problem(text)
    assert ("/steps/1/operator", 3, 27) == (fault["pointer"], fault["line"], fault["column"])


def test_fault_of_a_key_with_slash_and_tilde_points_by_rfc_6901() -> None:
    (fault,) = problem(b'title: T\nsteps: [{id: a, operator: "@debug/noop", parameters: {"a/b~c": "{{ 1 + }}"}}]\n')
    assert ("/steps/0/parameters/a~1b~0c", 2) == (fault["pointer"], fault["line"])
