"""Examples of every built-in operator."""

from __future__ import annotations

from tests.contract.operators.file_world import CONTENT, FILE_ID, ORDERS, QUERY_ANSWER
from tests.contract.operators.suite import ANY, Example, Examples, ok

EXAMPLES: dict[str, Examples] = {
    "@debug/noop": Examples(
        good=(
            Example(parameters={}, output={}),
            Example(parameters={"a": [1, {"b": None}]}, output={"a": [1, {"b": None}]}),
        ),
        bad=([], "text", None),
    ),
    "@debug/log": Examples(
        good=(
            Example(parameters={"message": "hello"}, output={}),
            Example(parameters={"message": "hello", "level": "error"}, output={}),
        ),
        bad=({}, {"message": 1}, {"message": "m", "level": "loud"}, {"message": "m", "more": 1}),
    ),
    "@debug/fail": Examples(
        good=(
            Example(parameters={"times": 0}, output={}),
            Example(parameters={"times": 0, "output": [1], "kind": "timeout", "message": "m"}, output=[1]),
        ),
        bad=({"times": -1}, {"times": 1.5}, {"kind": "oops"}, {"message": 7}, {"other": 1}),
    ),
    "@python/run": Examples(
        good=(
            Example(parameters={"code": "def main():\n    return {}"}, output={}),
            Example(
                parameters={
                    "code": "def total(n):\n    return n",
                    "entry": "total",
                    "inputs": {"n": 3},
                    "mode": "isolated",
                    "limits": {"wall_s": 1.5, "memory_mib": 64},
                },
                output={"n": 3},
            ),
        ),
        bad=(
            {},
            {"code": ""},
            {"code": "x", "entry": "a.b"},
            {"code": "x", "inputs": []},
            {"code": "x", "mode": "root"},
            {"code": "x", "limits": {"wall_s": 0}},
            {"code": "x", "limits": {"memory_mib": 63}},
            {"code": "x", "limits": {"other": 1}},
            {"code": "x", "more": 1},
        ),
    ),
    "@file/read": Examples(
        good=(
            Example(
                parameters={"id": FILE_ID, "encoding": "csv"},
                output={"file": ORDERS, "content": [{"id": "1", "note": "a, b"}, {"id": "2", "note": ""}]},
            ),
            Example(
                parameters={"name": "orders.csv", "bytes_max": len(CONTENT)},
                output={"file": ORDERS, "content": CONTENT.decode()},
            ),
        ),
        bad=(
            {},
            {"id": "../etc"},
            {"id": FILE_ID, "name": "orders.csv"},
            {"name": ""},
            {"name": "a", "encoding": "latin-1"},
            {"name": "a", "bytes_max": -1},
            {"name": "a", "bytes_max": 2**30},
            {"name": "a", "path": "/etc"},
        ),
    ),
    "@file/write": Examples(
        good=(
            Example(parameters={"name": "a/b.txt", "content": "hello"}, output=ANY),
            Example(
                parameters={"name": "b.csv", "content": [{"a": 1}], "encoding": "csv", "media_type": "text/x-csv"},
                output=ANY,
            ),
        ),
        bad=(
            {},
            {"name": "a"},
            {"content": "a"},
            {"name": "", "content": "a"},
            {"name": "x" * 256, "content": "a"},
            {"name": "a", "content": "a", "encoding": "zip"},
            {"name": "a", "content": "a", "media_type": ""},
            {"name": "a", "content": "a", "path": "/etc"},
        ),
    ),
    "@file/list": Examples(
        good=(
            Example(parameters={}, output={"files": [ORDERS], "is_complete": True}),
            Example(parameters={"prefix": "none/", "limit": 1}, output={"files": [], "is_complete": True}),
            Example(
                parameters={"after": {"id": FILE_ID, "name": "orders.csv"}}, output={"files": [], "is_complete": True}
            ),
        ),
        bad=([], {"prefix": 1}, {"limit": 0}, {"limit": 201}, {"after": {"id": FILE_ID}}, {"page": 2}),
    ),
    "@data/query": Examples(
        good=(
            Example(parameters={"sql": "SELECT 1 AS n"}, output=QUERY_ANSWER),
            Example(
                parameters={
                    "sql": "SELECT $n AS n",
                    "parameters": {"n": 1},
                    "tables": {"t": [{"a": 1}]},
                    "limits": {"wall_s": 5, "cpu_s": 5, "memory_mib": 256},
                },
                output=QUERY_ANSWER,
            ),
        ),
        bad=(
            {},
            {"sql": ""},
            {"sql": "SELECT 1", "parameters": {"a b": 1}},
            {"sql": "SELECT 1", "parameters": {"a": []}},
            {"sql": "SELECT 1", "tables": {"t": {"a": 1}}},
            {"sql": "SELECT 1", "tables": {"t; drop": []}},
            {"sql": "SELECT 1", "files": {"f": {}}},
            {"sql": "SELECT 1", "files": {"f": {"path": "/etc/passwd"}}},
            {"sql": "SELECT 1", "files": {"f": {"name": "a", "format": "xlsx"}}},
            {"sql": "SELECT 1", "into": {}},
            {"sql": "SELECT 1", "limits": {"memory_mib": 64}},
            {"sql": "SELECT 1", "limits": {"threads": 64}},
        ),
    ),
    "@http/request": Examples(
        good=(
            Example(
                parameters={"url": "http://target.test/a"},
                output={"status": 200, "headers": {"content-type": "application/json"}, "body": {"x": 1}},
                answer=ok(b'{"x": 1}'),
            ),
            Example(
                parameters={
                    "url": "http://target.test/a",
                    "method": "POST",
                    "json": {"a": 1},
                    "headers": {"X-A": "b"},
                    "query": {"q": ["1", 2, True]},
                    "success": ["200-204", 409],
                    "body_bytes_max": 1000,
                },
                output={"status": 200, "headers": {"content-type": "text/plain"}, "body": "hi"},
                answer=ok(b"hi", "text/plain"),
            ),
        ),
        bad=(
            {},
            {"url": ""},
            {"url": 1},
            {"url": "http://a.test", "method": "BREW"},
            {"url": "http://a.test", "json": 1, "form": {}},
            {"url": "http://a.test", "json": 1, "text": ""},
            {"url": "http://a.test", "form": {}, "text": ""},
            {"url": "http://a.test", "success": "2xx"},
            {"url": "http://a.test", "success": []},
            {"url": "http://a.test", "success": 99},
            {"url": "http://a.test", "headers": {"a b": "c"}},
            {"url": "http://a.test", "headers": {"a": 1}},
            {"url": "http://a.test", "body_bytes_max": -1},
            {"url": "http://a.test", "body_bytes_max": 2**40},
            {"url": "http://a.test", "timeout": 3},
        ),
    ),
    "@text/split": Examples(
        good=(
            Example(parameters={"text": "a,b,,c", "separator": ","}, output=["a", "b", "", "c"]),
            Example(parameters={"text": "", "separator": ", "}, output=[""]),
        ),
        bad=({}, {"text": "a"}, {"text": "a", "separator": ""}, {"text": 1, "separator": ","}),
    ),
    "@text/join": Examples(
        good=(
            Example(parameters={"items": ["a", 1, 2.5, True, None], "separator": "-"}, output="a-1-2.5-true-null"),
            Example(parameters={"items": ["a", "b"]}, output="ab"),
            Example(parameters={"items": []}, output=""),
        ),
        bad=({}, {"items": "ab"}, {"items": [[]]}, {"items": [{}]}, {"items": [], "separator": 1}),
    ),
    "@text/match": Examples(
        good=(
            Example(
                parameters={"text": "order 17 of 2026", "pattern": "([0-9]+) of ([0-9]+)( late)?"},
                output={"matched": True, "groups": ["17", "2026", None]},
            ),
            Example(parameters={"text": "none", "pattern": "[0-9]"}, output={"matched": False, "groups": []}),
        ),
        bad=({}, {"text": "a"}, {"text": "a", "pattern": "x" * 1025}, {"text": None, "pattern": "x"}),
    ),
    "@text/template": Examples(
        good=(
            Example(
                parameters={
                    "template": "Dear {name}, {count} of {name} {} {1} {{",
                    "values": {"name": "Ada", "count": 3},
                },
                output="Dear Ada, 3 of Ada {} {1} {{",
            ),
            Example(parameters={"template": "{list}", "values": {"list": [1, "a"]}}, output='[1,"a"]'),
        ),
        bad=({}, {"template": "a"}, {"template": "a", "values": []}, {"template": 1, "values": {}}),
    ),
    "@json/parse": Examples(
        good=(
            Example(parameters={"text": '{"a": [1, 2.5, null]}'}, output={"a": [1, 2.5, None]}),
            Example(parameters={"text": "7"}, output=7),
        ),
        bad=({}, {"text": 1}, {"text": "1", "more": 1}),
    ),
    "@json/get": Examples(
        good=(
            Example(parameters={"value": {"a": [10, {"b/c~d": 20}]}, "pointer": "/a/1/b~1c~0d"}, output=20),
            Example(parameters={"value": {"a": 1}, "pointer": ""}, output={"a": 1}),
            Example(parameters={"value": {"a": 1}, "pointer": "/b", "default": None}, output=None),
            Example(parameters={"value": {"": 5}, "pointer": "/"}, output=5),
        ),
        bad=({}, {"value": 1}, {"value": 1, "pointer": 2}, {"pointer": ""}),
    ),
    "@json/set": Examples(
        good=(
            Example(parameters={"value": {"a": [1, 2]}, "pointer": "/a/1", "to": 9}, output={"a": [1, 9]}),
            Example(parameters={"value": {"a": [1]}, "pointer": "/a/-", "to": 2}, output={"a": [1, 2]}),
            Example(parameters={"value": {}, "pointer": "/new", "to": {}}, output={"new": {}}),
            Example(parameters={"value": 1, "pointer": "", "to": 2}, output=2),
        ),
        bad=({}, {"value": 1, "pointer": ""}, {"value": 1, "to": 1}, {"value": 1, "pointer": "", "to": 1, "x": 1}),
    ),
    "@time/now": Examples(
        good=(Example(parameters={}, output="2026-03-01T12:30:15.250Z"),),
        bad=({"zone": "UTC"}, [], None),
    ),
    "@time/add": Examples(
        good=(
            Example(
                parameters={"at": "2026-03-01T00:00:00+01:00", "days": 1, "hours": -2, "minutes": 3, "seconds": 0.5},
                output="2026-03-01T21:03:00.500Z",
            ),
            Example(parameters={"at": "2026-12-31T23:59:59Z", "seconds": 1}, output="2027-01-01T00:00:00Z"),
        ),
        bad=({}, {"at": 1}, {"at": "2026-01-01T00:00:00Z", "days": "1"}, {"at": "2026-01-01T00:00:00Z", "weeks": 1}),
    ),
    "@time/format": Examples(
        good=(
            Example(
                parameters={
                    "at": "2026-07-01T00:00:00Z",
                    "format": "%d.%m.%Y %H:%M %Z %%",
                    "timezone": "Europe/Berlin",
                },
                output="01.07.2026 02:00 CEST %",
            ),
            Example(parameters={"at": "2026-07-01T00:00:00Z", "format": "%Y"}, output="2026"),
        ),
        bad=({}, {"at": "2026-07-01T00:00:00Z"}, {"at": "x", "format": 1}, {"at": "x", "format": "%Y" * 200}),
    ),
    "@data/transform": Examples(
        good=(
            Example(
                parameters={
                    "items": [{"n": 1, "g": "a", "x": 0}, {"n": 2, "g": "b", "x": 0}, {"n": 3, "g": "a", "x": 0}],
                    "filter": "item.n != 2",
                    "map": "{'n': item.n * 10, 'g': item.g, 'i': index}",
                    "pick": ["n", "g", "absent"],
                    "group_by": "item.g",
                },
                output={"a": [{"n": 10, "g": "a"}, {"n": 30, "g": "a"}]},
            ),
            Example(parameters={"items": [3, 1, 2]}, output=[3, 1, 2]),
            Example(parameters={"items": [1, 2, 3], "map": "index"}, output=[0, 1, 2]),
        ),
        bad=({}, {"items": {}}, {"items": [], "map": ""}, {"items": [], "pick": []}, {"items": [], "sort": "item"}),
    ),
}
