"""Programs and data made to be as dear as the language allows: what bounds them is fuel alone."""

import random  # noqa: TID251  # the seed is an argument and is printed
from typing import Any

COUNT = 10_000
TEXT = "a" * (1 << 20)
WIDE = "\U0001f600" * (1 << 18)


def slots() -> dict[str, Any]:
    """Give the inputs that the programs read."""
    ints = list(range(COUNT))
    return {
        "inputs": {
            "ints": ints,
            "big": list(range(90_000)),
            "doubles": [n * 1.000123e-7 for n in ints],
            "rows": [{"id": n, "region": "eu", "total": n * 1.5, "tags": ["x", "y"]} for n in ints],
            "rows2": [{"id": n, "region": "eu", "total": n * 1.5, "tags": ["x", "y"]} for n in ints],
            "texts": [f"text {n}" for n in ints],
            "times": [f"2024-02-{n % 28 + 1:02}T12:30:45.123456+05:30" for n in ints],
            "spans": ["1h1m1s1ms1us" * 5] * COUNT,
            "numbers": [f"{n}.{n}e-{n % 200}" for n in ints],
            "patterns": [f"(x{n}|y)*[a-z]{{1,50}}(b|c{n})?" for n in ints],
            "wild": [f"(?:\\pL\\w*|[^a]{{1,9}}){{1,{n % 30 + 1}}}{n}" for n in ints],
            "zones": [f"Nowhere/Zone{n}" for n in ints],
            "offsets": [f"+{n % 24:02}:{n % 60:02}" for n in ints],
            "text": TEXT,
            "text2": TEXT[:-1] + "b",
            "wide": WIDE,
            "control": "\x01" * (1 << 20),
            "spaces": " " * (1 << 20),
            "lists": "[" + "[]," * 90_000 + "[]]",
            "maps": "[" + "{}," * 90_000 + "{}]",
            "pairs": "[" + '{"a":1},' * 45_000 + "{}]",
            "strings": "[" + '"bcd",' * 90_000 + '"x"]',
            "floats": "[" + "1.5," * 90_000 + "1]",
            "long": '["' + "x" * (1 << 20) + '"]',
            "escapes": '["' + "\\u0001" * 170_000 + '"]',
            "widened": '["\\ud83d\\ude00' + "x" * (1 << 20) + '"]',
            "deep": "[" * 60 + "]" * 60,
            "keys": {f"key {n}": n for n in ints},
        }
    }


def _lower(text: str) -> str:
    return text.replace("@", "inputs.")


PROGRAMS = [
    _lower(text)
    for text in (
        "@ints.all(i, @ints.all(j, @ints.all(k, i + j + k >= 0)))",
        "@ints.map(i, @ints.map(j, [i, j]))",
        "@ints.map(i, @ints.map(j, {'a': i, 'b': [j]}))",
        "@ints.map(i, @ints.map(j, {}))",
        "@ints.map(i, @ints.map(j, i * 1.5))",
        "@ints.map(i, @ints.filter(j, j % 2 == 0 && j != i))",
        "@ints.map(i, 'x' + string(i))",
        "@ints.map(i, i > 3 ? [i] : [[i]])",
        "@ints.map(i, @ints)",
        "@ints.map(i, @ints + @ints)",
        "[@big].map(a, a + a).map(b, b + b).map(c, c + c)",
        "[1,2,3,4,5,6,7,8].map(i, @ints + @ints)",
        "[@text].map(a, a + a).map(b, b + b).map(c, c + c).map(d, d + d)",
        "@text + @text + @text + @text + @text + @text",
        "[@wide].map(a, a + a).map(b, b + b).map(c, c + c)",
        "['ab'].map(a, " + "+".join(["a"] * 300) + ").map(b, " + "+".join(["b"] * 200) + ")",
        "@ints.map(i, @text + string(i))",
        "@ints.map(i, @texts[i] + @texts[i] + @texts[i] + @texts[i])",
        "@rows == @rows2",
        "@big == @big && @big != @ints",
        "[@rows, @rows, @rows] == [@rows2, @rows2, @rows2]",
        "@rows.filter(r, r in @rows2)",
        "@rows.map(r, r.region + r.tags[0])",
        "@rows.all(r, has(r.a.b.c) || r.total >= 0.0)",
        "@texts.exists(t, t in @texts && t == 'nothing')",
        "@ints.exists(i, i / 0 > 0)",
        "@ints.exists(i, i / 0 > 0 || i / 0 > 1 || i / 0 > 2 || i / 0 > 3)",
        "@ints.exists(i, @rows[i].missing == 1)",
        "@ints.exists(i, @ints.exists(j, j == 'a' || j.x))",
        "@ints.exists(i, int('x') > 0)",
        "@ints.exists(i, timestamp('x') > now())",
        "@keys.map(k, @keys[k])",
        "@ints.map(i, @keys.exists(k, k == 'a'))",
        "json(@rows)",
        "json(@rows.filter(r, r.id < 1500))",
        "json(@text)",
        "json(@control)",
        "json([@text, @text, @text])",
        "json(@wide)",
        "json(@keys)",
        "@ints.map(i, json(@texts))",
        "@ints.map(i, json(i))",
        "parse_json(@lists)",
        "parse_json(@maps)",
        "parse_json(@pairs)",
        "parse_json(@strings)",
        "parse_json(@floats)",
        "parse_json(@long)",
        "parse_json(@escapes)",
        "parse_json(@spaces)",
        "[1,2,3,4,5,6].map(i, parse_json(@widened))",
        "[1,2,3,4,5,6].map(i, string(bytes(@text) + b'\\xc3\\xa9'))",
        "[1,2,3,4,5,6].map(i, @text + '\\U0001f600')",
        "[1,2,3,4,5,6].map(i, string(bytes(@text) + b'\\xf0\\x9f\\x98\\x80'))",
        "@big.exists(i, -1 in @big)",
        "@ints.map(i, parse_json(@deep))",
        "@ints.map(i, parse_json('[1,2,3]'))",
        "@ints.map(i, @ints.exists(j, parse_json('x') == 1))",
        "parse_json(json(@ints))",
        "@times.map(t, timestamp(t))",
        "@times.map(t, string(timestamp(t)))",
        "@times.map(t, timestamp(t).getDayOfYear('Europe/Berlin'))",
        "@times.map(t, timestamp(t).getFullYear('-02:30'))",
        "@ints.map(i, now() + duration('1s'))",
        "@ints.map(i, string(now()))",
        "@spans.map(t, duration(t))",
        "@spans.map(t, string(duration(t)))",
        "@zones.exists(z, now().getHours(z) == 1)",
        "@offsets.map(z, now().getHours(z))",
        "@ints.map(i, now().getDayOfYear())",
        "@numbers.map(n, double(n))",
        "@doubles.map(d, string(d))",
        "@ints.map(i, int(string(i)))",
        "hash(@text)",
        "@ints.map(i, hash(@text))",
        "@texts.map(t, hash(t))",
        "base64(@text) + base64(@text)",
        "@texts.map(t, base64(t))",
        "url_encode(@text)",
        "url_encode(@wide)",
        "url_encode(@spaces)",
        "@texts.map(t, url_encode(t))",
        "bytes(@text) + bytes(@text) == bytes(@text2)",
        "string(bytes(@wide)) == @wide",
        "@ints.map(i, bytes(@texts[i]))",
        "@text == @text2 || @text < @text2",
        "@ints.all(i, @text != @text2)",
        "@ints.all(i, @text <= @text2)",
        "@ints.exists(i, @text.contains('" + "a" * 400 + "b'))",
        "@text.contains(@text2)",
        "@text.matches('(a+)+$')",
        "@text.matches('(a|b)*c(d|e)*')",
        "@text.matches('(x+x+)+y')",
        "@text.matches('((a{100}){10})b')",
        "@text.matches('(.*)(.*)(.*)(.*)(.*)[bc]$')",
        "regex_extract(@text, '(a?){200}(a{200})b')",
        "regex_extract(@text, '(a+)(a+)$')",
        "regex_extract(@text, '(.*a){20}')",
        "@wide.matches('(\\\\pL|.)+x')",
        "@texts.map(t, t.matches('(e|x)+t.*[0-9]$'))",
        "@texts.map(t, regex_extract(t, '([0-9])+'))",
        "@patterns.map(p, 'some text'.matches(p))",
        "@wild.exists(p, 'some text'.matches(p))",
        "@wild.exists(p, @text.matches(p))",
        "@ints.map(i, type(i) == int)",
        "@ints.map(i, size(@texts[i]))",
        "@ints.map(i, -i - -i)",
        "@ints.exists_one(i, !(i != 5000))",
    )
]

# Pieces for the search: lists of the inputs, and what is done with one element `x`.
_LISTS = (
    "ints",
    "big",
    "doubles",
    "rows",
    "texts",
    "times",
    "spans",
    "numbers",
    "patterns",
    "zones",
    "offsets",
    "keys",
)
_STEPS = (
    "string({})",
    "int({})",
    "double({})",
    "size({})",
    "json({})",
    "parse_json({})",
    "hash({})",
    "base64({})",
    "url_encode({})",
    "bytes({})",
    "timestamp({})",
    "duration({})",
    "type({})",
    "regex_extract({}, '(.)*x?')",
    "'some text'.matches({})",
    "now().getHours({})",
    "({} + {})",
    "[{}, {}]",
    "{{'a': {}}}",
    "({} == {} ? {} : null)",
    "({} < {} || {} > {})",
    "({} in @ints)",
    "has({}.id.x)",
    "@texts.exists(y, y == {})",
)


def search(seed: int, count: int) -> list[str]:
    """Draw programs that put one dear step into another, over every element of a large list; failures are absorbed."""
    draw = random.Random(seed)
    return [_lower(f"@{draw.choice(_LISTS)}.exists(x, {_nested(draw)} == 'never')") for _ in range(count)]


def _nested(draw: random.Random) -> str:
    text = "x"
    for _ in range(draw.randint(1, 4)):
        longer = draw.choice(_STEPS).replace("{}", text).replace("{{", "{").replace("}}", "}")
        text = longer if len(longer) < 900 else text
    return text
