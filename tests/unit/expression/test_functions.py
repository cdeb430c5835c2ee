from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.expression.functions import FUNCTIONS
from core.expression.signatures import FORMS
from tests.unit.expression.evaluation import evaluate, failure


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("size('é\U0001f600')", 2),
        ("'abc'.size()", 3),
        ("size(b'abc')", 3),
        ("size([1, 2])", 2),
        ("size({'a': 1})", 1),
        ("'abc'.contains('b')", True),
        ("'abc'.startsWith('b')", False),
        ("'abc'.endsWith('bc')", True),
        ("'abc'.matches('^a.c$')", True),
        ("matches(inputs.s, inputs.p)", True),
        ("int(1.9)", 1),
        ("int(-1.9)", -1),
        ("int(5)", 5),
        ("int('-12')", -12),
        ("int('+12')", 12),
        ("int(timestamp('1970-01-01T00:01:00.5Z'))", 60),
        ("double(1)", 1.0),
        ("double('1.5e3')", 1500.0),
        ("double(2.5)", 2.5),
        ("string('a')", "a"),
        ("string(true)", "true"),
        ("string(false)", "false"),
        ("string(12)", "12"),
        ("string(1.5)", "1.5"),
        ("string(100000.0)", "100000"),
        ("string(1234567.0)", "1.234567e+06"),
        ("string(0.00001)", "1e-05"),
        ("string(0.0)", "0"),
        ("string(b'abc')", "abc"),
        ("string(timestamp('2024-01-01T00:00:00Z'))", "2024-01-01T00:00:00Z"),
        ("string(duration('90m'))", "5400s"),
        ("string(duration('-1500ms'))", "-1.500s"),
        ("string(duration('1us'))", "0.000001s"),
        ("bool('t')", True),
        ("bool(false)", False),
        ("bytes('é')", b"\xc3\xa9"),
        ("bytes(b'a')", b"a"),
        ("timestamp('2024-01-01T02:00:00.123456789+02:00')", datetime(2024, 1, 1, microsecond=123456, tzinfo=UTC)),
        ("timestamp(60)", datetime(1970, 1, 1, 0, 1, tzinfo=UTC)),
        ("timestamp(now()) == now()", True),
        ("duration('1h30m')", timedelta(hours=1, minutes=30)),
        ("duration('-1.5s')", timedelta(seconds=-1.5)),
        ("duration('250ms')", timedelta(milliseconds=250)),
        ("duration('1us1ns')", timedelta(microseconds=1)),
        ("duration('.5s')", timedelta(seconds=0.5)),
        ("duration('0')", timedelta()),
        ("duration(duration('1s'))", timedelta(seconds=1)),
        ("dyn(1)", 1),
        ("json({'a': [1, 2.0, null, true, 'é\"']})", '{"a":[1,2.0,null,true,"é\\""]}'),
        ('parse_json(\'[1, {"a": 2.5}, "x"]\')', [1, {"a": 2.5}, "x"]),
        ("parse_json('7')", 7),
        ("parse_json('\"x\"')", "x"),
        ("json('a')", '"a"'),
        ("hash('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("hash(b'a') == hash('a')", True),
        ("base64('hi')", "aGk="),
        ("base64(b'\\xff')", "/w=="),
        ("url_encode('a b/é~._-')", "a%20b%2F%C3%A9~._-"),
        ("regex_extract('order 17', '[a-z]+ ([0-9]+)')", "17"),
        ("regex_extract('order 17', '[0-9]+')", "17"),
        ("regex_extract('order', '[0-9]+')", None),
        ("regex_extract('order', '(x)?o')", None),
        ("regex_extract(inputs.s, inputs.p)", "xt"),
    ],
)
def test_s38_function_gives_its_value(text: str, value: object) -> None:
    answer = evaluate(text, inputs={"s": "text", "p": "x."})

    assert value == answer
    assert type(value) is type(answer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size(1)", "no function size() for int"),
        ("1.contains('a')", "no function contains() for int, string"),
        ("1.matches('a')", "no function matches() for int, string"),
        ("'a'.matches('(')", "not a regular expression of RE2"),
        ("inputs.s.matches(inputs.bad)", "not a regular expression of RE2"),
        ("regex_extract(1, 'a')", "no function regex_extract() for int, string"),
        ("int('1.5')", "not an integer of 64 bits"),
        ("int('')", "not an integer of 64 bits"),
        ("int('99999999999999999999')", "not an integer of 64 bits"),
        ("int('" + "1" * 100 + "')", "not an integer of 64 bits"),
        ("int('\u0661')", "not an integer of 64 bits"),
        ("int(1e19)", "out of the range of an integer"),
        ("int(true)", "no function int() for bool"),
        ("int(null)", "no function int() for null"),
        ("double('x')", "the text is not a number"),
        ("double('1_0')", "the text is not a number"),
        ("double('1e999')", "not a finite number"),
        ("double(true)", "no function double() for bool"),
        ("double(null)", "no function double() for null"),
        ("string(b'\\xff')", "not valid UTF-8"),
        ("string([])", "no function string() for list"),
        ("bool('yes')", "neither true nor false"),
        ("bool(1)", "no function bool() for int"),
        ("bytes(1)", "no function bytes() for int"),
        ("timestamp('2024-01-01')", "RFC 3339"),
        ("timestamp('2024-02-30T00:00:00Z')", "does not exist"),
        ("timestamp('0001-01-01T00:00:00+02:00')", "does not exist"),
        ("timestamp('" + "2" * 100 + "')", "RFC 3339"),
        ("timestamp(99999999999999)", "outside of the years"),
        ("timestamp(true)", "no function timestamp() for bool"),
        ("timestamp(1.5)", "no function timestamp() for double"),
        ("duration('1d')", "numbers with units"),
        ("duration('9999999h')", "at most 292 years"),
        ("duration(1)", "no function duration() for int"),
        ("parse_json('{')", "the text is not JSON"),
        ("parse_json('18446744073709551615')", "integer over 64 bits"),
        ("parse_json('[18446744073709551615]')", "integer over 64 bits"),
        ("parse_json('" + "[" * 65 + "]" * 65 + "')", "nested more than 64"),
        ("parse_json(1)", "no function parse_json() for int"),
        ("hash(1)", "no function hash() for int"),
        ("base64(1)", "no function base64() for int"),
        ("url_encode(1)", "no function url_encode() for int"),
        ("json(inputs.opaque)", "has no JSON form"),
        ("now().getHours(inputs.n)", "no function getHours() for timestamp, int"),
        ("now().getHours('Nowhere/City')", "no such time zone"),
        ("now().getHours('../etc')", "no such time zone"),
        ("now().getHours('+99:00')", "no such time zone"),
        ("1.getHours()", "getHours() needs a timestamp"),
        ("duration('1s').getFullYear()", "getFullYear() needs a timestamp"),
        ("duration('1s').getHours('UTC')", "getHours() needs a timestamp"),
        ("timestamp('9999-12-31T23:59:59Z').getFullYear('+14:00')", "outside of the years"),
    ],
)
def test_function_without_a_value_fails_with_a_reason(text: str, message: str) -> None:
    kind, found = failure(text, inputs={"s": "text", "bad": "(", "n": 1, "opaque": object()})

    assert "expression" == kind
    assert message in found


@pytest.mark.parametrize(
    ("getter", "value"),
    [
        ("getFullYear()", 2024),
        ("getMonth()", 1),
        ("getDate()", 29),
        ("getDayOfMonth()", 28),
        ("getDayOfWeek()", 4),
        ("getDayOfYear()", 59),
        ("getHours()", 12),
        ("getMinutes()", 30),
        ("getSeconds()", 45),
        ("getMilliseconds()", 0),
        ("getHours('Europe/Berlin')", 13),
        ("getHours('-02:30')", 10),
        ("getHours('05:00')", 17),
        ("getHours(inputs.zone)", 21),
    ],
)
def test_getter_gives_a_part_of_a_timestamp_in_its_zone(getter: str, value: int) -> None:
    assert value == evaluate(f"now().{getter}", inputs={"zone": "Asia/Tokyo"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("duration('90m').getHours()", 1),
        ("duration('-90m').getHours()", -1),
        ("duration('90m').getMinutes()", 90),
        ("duration('90m').getSeconds()", 5400),
        ("duration('1.5s').getMilliseconds()", 500),
    ],
)
def test_getter_gives_the_whole_duration_in_its_unit(text: str, value: int) -> None:
    assert value == evaluate(text)


def test_check_and_compiler_know_the_same_functions() -> None:
    implemented = {(name, count) for name, count in FUNCTIONS}
    declared = {(name, len(form.kinds)) for name, forms in FORMS.items() for form in forms}

    assert declared == implemented | {("now", 0)}


def test_timestamp_of_another_zone_is_compared_by_its_moment() -> None:
    berlin = datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))

    assert evaluate("inputs.at == timestamp('2024-01-01T00:00:00Z')", inputs={"at": berlin}) is True
