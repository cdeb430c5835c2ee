"""Places of pointers in both notations."""

from __future__ import annotations

from core.dag.json_text import json_marks, json_places
from core.dag.position import locate, nearest
from core.dag.yaml_text import yaml_marks

JSON = '{"a": [1,\n {"b/c": "x"}], "d": {}, "e": true}'
YAML = 'a:\n- 1\n- "b/c": x\nd: {}\ne: true\n'


def test_outline_of_both_notations_is_the_same() -> None:
    kinds = ["{", "key", "[", "scalar", "{", "key", "scalar", "end", "end", "key", "{", "end", "key", "scalar", "end"]
    keys = ["a", "b/c", "d", "e"]
    for marks in (list(json_marks(JSON)), list(yaml_marks(YAML))):
        assert kinds == [kind for kind, _, _ in marks]
        assert keys == [text for kind, text, _ in marks if kind == "key"]


def test_places_are_of_values_and_of_their_keys() -> None:
    wanted = ["/a/1/b~1c", "/e", "/a/1/b~1c"]
    in_json = locate(json_marks(JSON), wanted)
    line_of = json_places(JSON)
    assert ((2, 10), (2, 3)) == tuple(line_of(at) for at in in_json["/a/1/b~1c"])
    assert (2, 31) == line_of(in_json["/e"][0])
    in_yaml = locate(yaml_marks(YAML), wanted)
    assert {"": (1, 1), "/a": (2, 1), "/a/1": (3, 3), "/a/1/b~1c": (3, 10), "/e": (5, 4)} == {
        pointer: place[0] for pointer, place in in_yaml.items()
    }
    assert (5, 1) == in_yaml["/e"][1]


def test_pointer_that_is_not_in_the_text_has_the_place_of_its_nearest_ancestor() -> None:
    places = locate(yaml_marks(YAML), ["/a/7/x", "/zzz"])
    assert {"", "/a"} == places.keys()
    assert places["/a"] == nearest(places, "/a/7/x")
    assert places[""] == nearest(places, "/zzz")


def test_reading_stops_when_all_places_are_known() -> None:
    marks = iter(json_marks("[1, 2, 3]"))
    locate(marks, ["/0"])
    assert ["scalar", "scalar", "end"] == [kind for kind, _, _ in marks]
