"""Reading texts: the poison corpus, and what the two notations mean."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.dag.document import JSON_BYTES_MAX, YAML_BYTES_MAX, Format, read_document
from core.errors import DagInvalid, DagUndecodable
from tests.dags.check import problem
from tests.mutation_corpus.poison import POISON


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 9223372036854775807, "b": -9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        ('{"a": "1234567890123456789012"}', {"a": "1234567890123456789012"}),
        (r'{"a": "\\u0000"}', {"a": r"\u0000"}),
        (r'{"a:": ":\u003a\u003A", "b": "\\u003a"}', {"a:": ":::", "b": r"\u003a"}),
        (r'{"x": {"a": 1}, "y": {"a": ":\\\u003a"}}', {"x": {"a": 1}, "y": {"a": ":\\:"}}),
        ('{"a": ' + "[" * 63 + "]" * 63 + "}", None),
    ],
)
def test_json_that_looks_like_a_fault_is_read(text: str, value: Any) -> None:
    read = read_document(text.encode()).value
    assert value == read or value is None
    assert msgspec.json.decode(text) == read


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (r'{"a:": ":\u003a", "b": {"c": 1, "\u0063": ":"}}', "/b/c"),
        (r'[{"a": "\\u003a"}, {"b": {"x": 1}, "b": "::"}]', "/1/b"),
        ('{"a": {"b": [1, 2]}, "a": {"b": ":"}}', "/a"),
    ],
)
def test_equal_keys_are_found_beside_colons_in_texts(text: str, pointer: str) -> None:
    (fault,) = problem(text.encode(), "json")
    assert ("dag.syntax", pointer) == (fault["code"], fault["pointer"])


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
