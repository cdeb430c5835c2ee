"""Inputs as they are given on the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import get_args

import pytest

from core.dag.trigger import CALL_KIND, KINDS
from driver_adapters.cli.exits import USAGE, CommandFailed
from driver_adapters.cli.inputs import FILE_BYTES_MAX, form_of, is_file_name, read_data, read_file, read_inputs
from driver_adapters.cli.options import TriggerKind, label_query, read_labels
from driver_adapters.http import dag_wire


@pytest.mark.parametrize(
    ("text", "value"),
    [("n=5", 5), ("n=true", True), ("n=null", None), ('n="5"', "5"), ("n=[1,2]", [1, 2]), ('n={"a":1}', {"a": 1}),
     ("n=01234", "01234"), ("n=two words", "two words"), ("n=", ""), ("n=a=b", "a=b"), ("n=99999999999999999999", "99999999999999999999")],
)  # fmt: skip
def test_value_is_json_when_it_reads_as_json_and_text_otherwise(text: str, value: object) -> None:
    assert {"n": value} == read_inputs([text])


def test_parts_are_put_together_and_the_later_one_counts(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"a": 1, "b": 1}')
    assert {"a": 1, "b": 2, "c": 3} == read_inputs([f"@{file}", "b=2", '{"c": 3}'])
    assert {"b": 1, "a": 1} == read_inputs(["b=2", f"@{file}"])
    assert {} == read_inputs([])


def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert {"a": 1} == read_inputs(["@-"])


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[1]", "holds no JSON object"), (b'{"a": 1,\n "a": 2}', ":2:2:"), (b"\xff", "is not UTF-8"), (b"{", ":1:")],
)
def test_file_without_an_object_is_named_with_its_fault(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "inputs.json"
    file.write_bytes(content)
    with pytest.raises(CommandFailed) as caught:
        read_inputs([f"@{file}"])
    assert USAGE == caught.value.status
    assert said in caught.value.lines[0]
    assert str(file) in caught.value.lines[0]


@pytest.mark.parametrize("part", ["nonsense", "=1", ""])
def test_part_that_is_no_input_is_wrong_usage(part: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        read_inputs([part])
    assert USAGE == caught.value.status


def test_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"a" * FILE_BYTES_MAX)
    assert FILE_BYTES_MAX == len(read_file(file))
    file.write_bytes(b"a" * (FILE_BYTES_MAX + 1))
    with pytest.raises(CommandFailed):
        read_file(file)
    with pytest.raises(CommandFailed):
        read_file(tmp_path)


def test_ending_or_existing_file_tells_a_document_from_a_title(tmp_path: Path) -> None:
    assert ("yaml", "yaml", "json", None) == tuple(form_of(Path(name)) for name in ("a.yaml", "a.YML", "a.json", "a"))
    file = tmp_path / "document"
    file.touch()
    assert [True, True, False] == [is_file_name(name) for name in ("missing.yaml", str(file), "Orders by region")]


def test_labels_are_given_by_name_and_the_later_one_counts() -> None:
    assert {"a": "2", "b": "x=y:z"} == read_labels(["a=1", "b=x=y:z", "a=2"])
    assert ["a:2", "b:x=y:z"] == label_query(["a=1", "b=x=y:z", "a=2"])
    assert label_query([]) is None


@pytest.mark.parametrize("part", ["a", "=x", "a=", "a:b=c"])
def test_part_that_is_no_label_is_refused(part: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        read_labels([part])
    assert USAGE == caught.value.status


def test_kinds_of_triggers_to_choose_from_are_those_of_the_language() -> None:
    assert (*KINDS, CALL_KIND) == get_args(TriggerKind)
    assert (*KINDS, CALL_KIND) == get_args(dag_wire.TriggerKind)


def test_data_are_json_or_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text('[1, {"a": null}]')
    assert [5, "two words", [1, {"a": None}]] == [read_data("5"), read_data("two words"), read_data(f"@{file}")]
    file.write_text("[1,")
    with pytest.raises(CommandFailed) as caught:
        read_data(f"@{file}")
    assert USAGE == caught.value.status
