"""A seeded generator of programs in the language that this project shares with the official library."""

import random  # noqa: TID251  # the seed is an argument and is printed: a run can be repeated
from typing import Any

# Values of the variables that programs read.
BINDINGS: dict[str, Any] = {
    "n": 7,
    "zero": 0,
    "d": 2.5,
    "s": "orders/eu-1 größer",
    "e": "",
    "t": True,
    "none": None,
    "xs": [3, 1, 2, 3],
    "ds": [0.5, -1.25, 4.0],
    "names": ["eu", "us", "", "größe"],
    "rows": [{"id": 1, "region": "eu", "total": 10.5}, {"id": 2, "region": "us", "total": 0.25}],
    "m": {"a": 1, "b": {"c": [1, 2, {"k": "v"}]}, "x y": "z", "nul": None},
    "empty": [],
    "nothing": {},
}
_KINDS = ("int", "double", "bool", "string", "ints", "strings", "map", "time", "span")
_INTS = ("0", "1", "-1", "2", "3", "7", "10", "-5", "100", "0x1f", "9223372036854775807", "(-9223372036854775808)")
_DOUBLES = ("0.0", "1.0", "2.5", "-0.5", "1e3", "1.5e-3", "3.75", "100.25", "1e15", "123456.789")
_STRINGS = (
    "''",
    "'a'",
    "'eu'",
    '"größe"',
    "r'\\d'",
    "'x\\ny'",
    "'1'",
    "'true'",
    "'2.5'",
    "'''it's'''",
    "'aaa'",
    "'\\u00e9'",
    "'abc'",
)
_TIMES = ("2024-02-29T12:30:45Z", "1999-12-31T23:59:59.250Z", "2030-06-01T00:00:00+02:00", "1970-01-01T00:00:00Z")
_SPANS = ("90s", "1h30m", "-15m", "250ms", "0s", "36h", "1.5s")
_PATTERNS = ("'a+'", "'^o'", "'[a-z]+/'", "'(x|u)s?$'", "'\\\\d'", "'.*'")
_ZONES = ("'UTC'", "'Europe/Berlin'", "'-02:30'", "'America/New_York'", "'+05:45'")
_GETTERS = ("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours")
# One operand in so many has another type than asked for, so that errors are compared too.
_MISTYPED_ONE_IN = 25


class Programs:
    """Draws programs; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)  # programs, not secrets
        self._bound: list[tuple[str, str]] = []
        self._names = 0
        self._is_exact = False

    def draw(self) -> str:
        """Give the text of one program of any type."""
        self._bound.clear()
        self._names = 0
        return self._make(self._draw.choice(_KINDS), self._draw.randint(1, 4))

    def _pick(self, *makers: Any) -> str:
        maker = self._draw.choice(makers)
        return maker() if callable(maker) else str(maker)

    def _make(self, kind: str, depth: int) -> str:
        if not self._is_exact and self._draw.randrange(_MISTYPED_ONE_IN) == 0:
            kind = self._draw.choice(_KINDS)
        known = [name for name, its_kind in self._bound if its_kind == kind]
        if known and self._draw.random() < 0.4:
            return self._draw.choice(known)
        if depth <= 0:
            return self._leaf(kind)
        if self._draw.random() < 0.12:
            parts = (self._make("bool", depth - 1), self._make(kind, depth - 1), self._make(kind, depth - 1))
            return f"({parts[0]} ? {parts[1]} : {parts[2]})"
        return str(getattr(self, f"_{kind}")(depth - 1))

    def _leaf(self, kind: str) -> str:
        pick = self._draw.choice
        match kind:
            case "int":
                return pick((*_INTS, "n", "zero", "m.a", "rows[0].id"))
            case "double":
                return pick((*_DOUBLES, "d", "rows[1].total"))
            case "bool":
                return pick(("true", "false", "t"))
            case "string":
                return pick((*_STRINGS, "s", "e", "names[0]", "m['x y']"))
            case "ints":
                return pick(("xs", "empty", "[1, 2]", "[]", "[5]"))
            case "strings":
                return pick(("names", "['a', 'eu']", "empty"))
            case "map":
                return pick(("m", "nothing", "{'a': 1}", "rows[0]", "{1: 'x', 2: 'y'}", "{true: 1}"))
            case "time":
                return f"timestamp('{pick(_TIMES)}')"
            case _:
                return f"duration('{pick(_SPANS)}')"

    def _int(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"({make('int', depth)} {self._draw.choice('+-*/%')} {make('int', depth)})",
            lambda: f"{make('int', depth)} + {make('int', depth)} - {make('int', depth)}",
            lambda: f"(-{make('int', depth)})",
            lambda: f"size({make(self._draw.choice(('string', 'ints', 'strings', 'map')), depth)})",
            lambda: f"{make('string', depth)}.size()",
            lambda: f"int({make(self._draw.choice(('double', 'string', 'time', 'int')), depth)})",
            lambda: f"{make('ints', depth)}[{self._draw.randint(0, 3)}]",
            lambda: f"{make('time', depth)}.{self._draw.choice(_GETTERS)}({self._draw.choice(('', *_ZONES))})",
            lambda: f"{make('span', depth)}.{self._draw.choice(('getHours', 'getMinutes', 'getSeconds'))}()",
        )

    def _double(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"({make('double', depth)} {self._draw.choice('+-*/')} {make('double', depth)})",
            lambda: f"(-{make('double', depth)})",
            lambda: f"double({make(self._draw.choice(('int', 'string', 'double')), depth)})",
        )

    def _bool(self, depth: int) -> str:
        make, kind = self._make, self._draw.choice(_KINDS)
        return self._pick(
            lambda: f"({make('bool', depth)} && {make('bool', depth)})",
            lambda: f"({make('bool', depth)} || {make('bool', depth)} || {make('bool', depth)})",
            lambda: f"!({make('bool', depth)})",
            lambda: f"({make(kind, depth)} {self._draw.choice(('==', '!='))} {make(kind, depth)})",
            lambda: f"({make(kind, depth)} {self._draw.choice(('<', '<=', '>', '>='))} {make(kind, depth)})",
            lambda: f"({make('int', depth)} in {make(self._draw.choice(('ints', 'map')), depth)})",
            lambda: f"({make('string', depth)} in {make(self._draw.choice(('strings', 'map')), depth)})",
            lambda: (
                f"{make('string', depth)}.{self._draw.choice(('contains', 'startsWith', 'endsWith'))}"
                f"({make('string', depth)})"
            ),
            lambda: f"{make('string', depth)}.matches({self._draw.choice(_PATTERNS)})",
            lambda: f"bool({make(self._draw.choice(('string', 'bool')), depth)})",
            lambda: f"has({self._draw.choice(('m.a', 'm.zz', 'm.b.c', 'nothing.x', 'rows[0].id'))})",
            lambda: self._macro(self._draw.choice(("all", "exists", "exists_one")), "int", depth),
            lambda: self._macro(self._draw.choice(("all", "exists")), "string", depth),
            lambda: f"type({make(kind, depth)}) == type({make(kind, depth)})",
        )

    def _string(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"({make('string', depth)} + {make('string', depth)})",
            lambda: f"string({make(self._draw.choice(('int', 'bool', 'string', 'time', 'span')), depth)})",
            lambda: f"{make('strings', depth)}[{self._draw.randint(0, 4)}]",
            lambda: f"string({self._draw.choice(_DOUBLES)})",
        )

    def _ints(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"[{make('int', depth)}, {make('int', depth)}]",
            lambda: f"({make('ints', depth)} + {make('ints', depth)})",
            lambda: self._macro("map", "int", depth, body="int"),
            lambda: self._macro("filter", "int", depth),
        )

    def _strings(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"[{make('string', depth)}, {make('string', depth)}]",
            lambda: self._macro("map", "string", depth, body="string"),
            lambda: self._macro("filter", "string", depth),
            lambda: self._macro("map", "int", depth, body="string"),
        )

    def _map(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"{{'a': {make('int', depth)}, 'b': {make('string', depth)}}}",
            lambda: f"{{{make('string', depth)}: {make('ints', depth)}}}",
            lambda: f"{{{make('int', depth)}: {make('bool', depth)}, {make('int', depth)}: null}}",
        )

    def _time(self, depth: int) -> str:
        return f"({self._make('time', depth)} {self._draw.choice('+-')} {self._make('span', depth)})"

    def _span(self, depth: int) -> str:
        make = self._make
        return self._pick(
            lambda: f"({make('span', depth)} {self._draw.choice('+-')} {make('span', depth)})",
            lambda: f"({make('time', depth)} - {make('time', depth)})",
        )

    def _macro(self, macro: str, kind: str, depth: int, body: str = "bool") -> str:
        # Never a map: the order of its keys is not defined.
        was_exact, self._is_exact = self._is_exact, True
        items = self._make("ints" if kind == "int" else "strings", depth)
        self._is_exact = was_exact
        self._names += 1
        name = f"v{self._names}"
        self._bound.append((name, kind))
        inner = self._make(body, depth)
        condition = f"{self._make('bool', depth - 1)}, " if macro == "map" and self._draw.random() < 0.3 else ""
        self._bound.pop()
        return f"{items}.{macro}({name}, {condition}{inner})"
