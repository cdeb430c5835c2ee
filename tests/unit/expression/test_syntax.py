import pytest

from core.expression import EXPRESSION_BYTES_MAX, ExpressionSyntaxError, parse_expression
from core.expression.tree import Chain, Literal, Negate
from tests.unit.expression.evaluation import evaluate


def syntax_error(text: str) -> ExpressionSyntaxError:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_expression(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "unexpected the end, expected a value"),
        ("a ? b", 5, "unexpected the end, expected `:`"),
        ("[1, 2", 5, "unexpected the end, expected `]` or `,`"),
        ("{'a': 1", 7, "unexpected the end, expected `}` or `,`"),
        ("f(1", 3, "unexpected the end, expected `)` or `,`"),
        ("a b", 2, "unexpected `b`, expected an operator or the end"),
        ("f(,)", 2, "unexpected `,`, expected a value or `)`"),
        ("a and b", 2, "unexpected `and`, expected an operator or the end; `&&` is the and"),
        ("a = b", 2, "unexpected `=`, expected an operator; `==` compares"),
        ("a & b", 2, "unexpected `&`, expected an operator; `&&` is the and"),
        ("'abc", 0, "unexpected `'`, expected a value; a text lacks its closing quote"),
        ("Type{a: 1}", 4, "unexpected `{`, expected an operator or the end; messages do not exist here"),
        ("1 + §", 4, "unexpected `§`, expected a value"),
        ("-!a", 1, "unexpected `!`, expected a value"),
        ("1u", 0, "there are no unsigned integers; write 1"),
        ("loop.x", 0, "`loop` is a reserved word"),
        ("has(1)", 0, "has() takes one path that ends in a field, as in has(a.b)"),
        ("has(a[0])", 0, "has() takes one path that ends in a field, as in has(a.b)"),
        ("has(a.b, 1)", 0, "has() takes one path that ends in a field, as in has(a.b)"),
        ("x.all(1, true)", 2, "the first argument of all() is the name of its variable"),
        ("9223372036854775808", 0, "an integer must fit into 64 bits"),
        ("0xffffffffffffffffff", 0, "an integer must fit into 64 bits"),
        ("1e400", 0, "the result is not a finite number"),
        ("'\\q'", 0, "\\q is no escape; a backslash itself is written \\\\"),
        ("'\\ud800'", 0, "\\ud800 is not a character"),
        ("'\\U00110000'", 0, "\\U00110000 is not a character"),
        ("b'\\u00e9'", 0, "\\u00e9 is no escape of bytes"),
        ("b'\\q'", 0, "\\q is no escape; a backslash itself is written \\\\"),
    ],
)
def test_text_that_cannot_be_read_says_where_and_what_was_expected(text: str, offset: int, message: str) -> None:
    error = syntax_error(text)

    assert (offset, message, "dag.expression.syntax") == (error.offset, error.message, error.code)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("r'\\n'", "\\n"),
        ("'''it's'''", "it's"),
        ('"""a"b"""', 'a"b'),
        ("'\\x41\\u00e9\\U0001F600\\101\\n'", "Aé\U0001f600A\n"),
        ("b'\\xff\\101\\té'", b"\xffA\t\xc3\xa9"),
        ("br'\\n'", b"\\n"),
        ("B'plain'", b"plain"),
        ("0x1F", 31),
        ("-0x8000000000000000", -(2**63)),
        ("-9223372036854775808", -(2**63)),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("1 // the rest is a comment", 1),
        ("true", True),
        ("false", False),
        ("null", None),
        ("[1, 2,]", [1, 2]),
        ("[]", []),
        ("{'a': 1,}", {"a": 1}),
        ("{}", {}),
        ("{'a b': 1}.`a b`", 1),
        ("{'in': 1}.in", 1),
    ],
)
def test_literal_is_read_as_the_specification_says(text: str, value: object) -> None:
    assert value == evaluate(text)


def test_least_integer_without_its_sign_is_refused() -> None:
    assert syntax_error("-(9223372036854775808)").message == "an integer must fit into 64 bits"
    assert isinstance(parse_expression("- 9223372036854775807"), Negate)
    assert isinstance(parse_expression("-9223372036854775808"), Literal)


def test_sum_of_many_terms_is_one_node_and_a_group_stays_apart() -> None:
    long = parse_expression("+".join("1" * 700))
    grouped = parse_expression("(a + b) + c")
    mixed = parse_expression("a * b + c")

    assert isinstance(long, Chain)
    assert 699 == len(long.rest)
    assert isinstance(grouped, Chain)
    assert 1 == len(grouped.rest)
    assert isinstance(mixed, Chain)
    assert 1 == len(mixed.rest)


@pytest.mark.parametrize("text", ["(" * 32 + "1" + ")" * 32, "!" * 32 + "true", "[" * 32 + "1" + "]" * 32])
def test_nesting_of_32_levels_is_read_and_one_more_is_over_the_limit(text: str) -> None:
    parse_expression(text)

    assert "dag.limit" == syntax_error(f"({text})").code


def test_text_longer_than_two_kibibytes_of_utf8_is_over_the_limit() -> None:
    parse_expression("'" + "a" * (EXPRESSION_BYTES_MAX - 2) + "'")

    assert "dag.limit" == syntax_error("'" + "a" * (EXPRESSION_BYTES_MAX - 1) + "'").code
    assert "dag.limit" == syntax_error("'" + "é" * (EXPRESSION_BYTES_MAX // 2) + "'").code


@pytest.mark.parametrize("text", ["(" * 1000 + "1" + ")" * 1000, "-" * 2000 + "1", "a" + "?a:a" * 500, "[" * 2000])
def test_deep_nonsense_ends_in_a_typed_error(text: str) -> None:
    assert syntax_error(text).code in ("dag.limit", "dag.expression.syntax")


def test_macro_with_another_count_of_arguments_is_an_ordinary_call() -> None:
    with pytest.raises(Exception, match="there is no function all"):
        evaluate("[1].all(true)")
