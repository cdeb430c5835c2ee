"""Text to tree. The parser is built from `grammar.lark` at the first use; importing reads nothing."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, Final, TypeAlias

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from msgspec import structs

from core.expression import tree
from core.expression.literal import LiteralInvalid, bytes_of, double_of, integer_of, text_of
from core.expression.tree import EXPRESSION_BYTES_MAX, NESTING_MAX, Node
from core.expression.value import INT_MAX, INT_MIN, ExpressionFailed

# Texts whose trees are kept: a DAG repeats its expressions, and a save parses what the validation before it parsed.
PARSED_COUNT_MAX: Final = 1024

Children: TypeAlias = list[Any]

# CEL keeps these words for host languages; they stay usable behind a dot.
RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"}
    | {"namespace", "package", "return", "var", "void", "while"}
)
_MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "map": (2, 3), "filter": (2,)}
_SUMS: Final = frozenset({"+", "-"})
_VALUES: Final = frozenset({"NAME", "INT", "STRING", "OPEN_LIST"})
_OPERATORS: Final = frozenset({"RELATION", "PLUS", "STAR"})
_SIGNS: Final = {"RPAR": "`)`", "RSQB": "`]`", "RBRACE": "`}`", "COLON": "`:`", "COMMA": "`,`", "$END": "the end"}
_MISTAKES: Final = {
    "=": "`==` compares",
    "&": "`&&` is the and",
    "|": "`||` is the or",
    "and": "`&&` is the and",
    "or": "`||` is the or",
    "not": "`!` is the not",
    "'": "a text lacks its closing quote",
    '"': "a text lacks its closing quote",
    "`": "a quoted field is `.`name``",
    "{": "messages do not exist here",
}


class ExpressionSyntaxError(Exception):
    """An expression cannot be read.

    Args:
        message: what was found and what could stand there.
        offset: where, in characters from the start of the expression.
        code: `dag.expression.syntax`, or `dag.limit` when it is too long or nested too deep.
    """

    def __init__(self, message: str, offset: int, code: str = "dag.expression.syntax") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code


def parse_expression(text: str) -> Node:
    """Read one expression.

    Args:
        text: CEL, at most 2 KiB of UTF-8, nested at most 32 deep; chains of one operator do not nest.

    Raises:
        ExpressionSyntaxError: it cannot be read, or passes a limit.
    """
    if len(text) > EXPRESSION_BYTES_MAX or len(text.encode(errors="replace")) > EXPRESSION_BYTES_MAX:
        raise ExpressionSyntaxError(f"an expression has at most {EXPRESSION_BYTES_MAX} bytes", 0, "dag.limit")
    return _parse(text)


@functools.lru_cache(PARSED_COUNT_MAX)
def _parse(text: str) -> Node:
    try:
        node: Node = _parser().parse(text)  # type: ignore[assignment]  # the builder makes nodes, lark says Tree
    except UnexpectedInput as error:
        raise _explain(error, text) from None
    return node


@functools.cache
def _parser() -> Lark:
    grammar = resources.files("core.expression").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", transformer=_Builder(), maybe_placeholders=False)


def _explain(error: UnexpectedInput, text: str) -> ExpressionSyntaxError:
    if isinstance(error, UnexpectedToken):
        is_end = error.token.type == "$END"
        offset = len(text) if is_end else error.token.start_pos or 0
        sign = "" if is_end else str(error.token)
        expected = set(error.accepts or ())
    else:
        offset = error.pos_in_stream or 0
        sign = text[offset : offset + 1]
        # A sign of no token: which brackets are open is not known here, only whether a value or an operator is due.
        expected = set(getattr(error, "allowed", None) or ()) - _SIGNS.keys()
    allowed = ["a value"] if expected >= _VALUES else []
    allowed += ["an operator"] if expected & _OPERATORS else []
    allowed += [name for token, name in _SIGNS.items() if token in expected]
    message = f"unexpected `{sign}`" if sign else "unexpected the end"
    message += f", expected {' or '.join(allowed)}" if allowed else ""
    mistake = _MISTAKES.get(sign)
    return ExpressionSyntaxError(f"{message}; {mistake}" if mistake else message, offset)


def _deeper(offset: int, *children: Node | tree.Field | tree.Index) -> int:
    """Give the depth of a node with these children; raise when that is too deep."""
    depth = 1 + max((child.depth for child in children), default=-1)
    if depth > NESTING_MAX:
        raise ExpressionSyntaxError(f"an expression is nested at most {NESTING_MAX} deep", offset, "dag.limit")
    return depth


class _Builder(Transformer[Token, Node]):
    """Makes nodes while the parser reduces; each method has the name of a rule of the grammar."""

    def or_(self, terms: Children) -> Node:
        return tree.Or(terms=tuple(terms), offset=terms[0].offset, depth=_deeper(terms[0].offset, *terms))

    def and_(self, terms: Children) -> Node:
        return tree.And(terms=tuple(terms), offset=terms[0].offset, depth=_deeper(terms[0].offset, *terms))

    def ternary(self, children: Children) -> Node:
        condition, then, other = children
        offset = condition.offset
        return tree.Ternary(
            condition=condition, then=then, other=other, offset=offset, depth=_deeper(offset, condition, then, other)
        )

    def compare(self, children: Children) -> Node:
        left, operator, right = children
        offset = operator.start_pos
        return tree.Compare(
            operator=str(operator), left=left, right=right, offset=offset, depth=_deeper(offset, left, right)
        )

    def chain(self, children: Children) -> Node:
        left, operator, right = children
        offset = operator.start_pos
        link = (str(operator), right)
        # `a + b + c` arrives as a chain `a + b` beside `+ c`: it grows. A group stays apart by its greater depth.
        if isinstance(left, tree.Chain) and _is_open(left) and (left.rest[0][0] in _SUMS) == (operator in _SUMS):
            # Its own depth stands for its links': a look at each of them would cost the length of the chain squared.
            depth = max(left.depth, _deeper(offset, right))
            return tree.Chain(first=left.first, rest=(*left.rest, link), offset=offset, depth=depth)
        return tree.Chain(first=left, rest=(link,), offset=offset, depth=_deeper(offset, left, right))

    def not_(self, children: Children) -> Node:
        sign, operand = children
        return tree.Not(operand=operand, offset=sign.start_pos, depth=_deeper(sign.start_pos, operand))

    def negate(self, children: Children) -> Node:
        sign, operand = children
        depth = _deeper(sign.start_pos, operand)
        if (
            isinstance(operand, tree.Literal) and type(operand.value) is int and operand.value > INT_MAX
        ):  # INT_MIN, read without its sign
            return tree.Literal(value=INT_MIN, offset=sign.start_pos, depth=depth)
        return tree.Negate(operand=operand, offset=sign.start_pos, depth=depth)

    def field(self, children: Children) -> Node:
        operand, name = children
        return _access(operand, tree.Field(name=str(name), offset=name.start_pos))

    def quoted_field(self, children: Children) -> Node:
        operand, name = children
        return _access(operand, tree.Field(name=str(name)[1:-1], offset=name.start_pos))

    def index(self, children: Children) -> Node:
        operand, sign, key = children
        return _access(operand, tree.Index(key=key, offset=sign.start_pos, depth=key.depth))

    def arguments(self, children: Children) -> tuple[Node, ...]:
        return (children[0],) if len(children) == 1 else (*children[0], children[1])

    def function(self, children: Children) -> Node:
        name = children[0]
        args: tuple[Node, ...] = children[1] if len(children) > 1 else ()
        offset = name.start_pos
        depth = _deeper(offset, *args)
        if name != "has":
            return tree.Call(function=str(name), receiver=None, args=args, offset=offset, depth=depth)
        if len(args) == 1 and isinstance(args[0], tree.Access) and isinstance(args[0].steps[-1], tree.Field):
            return tree.Has(access=args[0], offset=offset, depth=depth)
        raise ExpressionSyntaxError("has() takes one path that ends in a field, as in has(a.b)", offset)

    def method(self, children: Children) -> Node:
        receiver, name = children[:2]
        args: tuple[Node, ...] = children[2] if len(children) > 2 else ()
        offset = name.start_pos
        depth = _deeper(offset, receiver, *args)
        if len(args) not in _MACROS.get(name, ()):
            return tree.Call(function=str(name), receiver=receiver, args=args, offset=offset, depth=depth)
        if not isinstance(args[0], tree.Name):
            raise ExpressionSyntaxError(f"the first argument of {name}() is the name of its variable", offset)
        condition = args[1] if len(args) > 2 else None
        return tree.Macro(
            kind=str(name),
            items=receiver,
            variable=args[0].name,
            condition=condition,
            body=args[-1],
            offset=offset,
            depth=depth,
        )

    def group(self, children: Children) -> Node:
        (inner,) = children
        grouped: Node = structs.replace(inner, depth=_deeper(inner.offset, inner))
        return grouped

    def list_(self, children: Children) -> Node:
        sign, items = children[0], children[1] if len(children) > 1 else ()
        return tree.ListLiteral(items=items, offset=sign.start_pos, depth=_deeper(sign.start_pos, *items))

    def entries(self, children: Children) -> tuple[tuple[Node, Node], ...]:
        *before, key, value = children
        return (*(before[0] if before else ()), (key, value))

    def map_(self, children: Children) -> Node:
        sign, entries = children[0], children[1] if len(children) > 1 else ()
        nodes = [node for entry in entries for node in entry]
        return tree.MapLiteral(entries=entries, offset=sign.start_pos, depth=_deeper(sign.start_pos, *nodes))

    def name(self, children: Children) -> Node:
        (name,) = children
        if name in RESERVED:
            raise ExpressionSyntaxError(f"`{name}` is a reserved word", name.start_pos)
        return tree.Name(name=str(name), offset=name.start_pos)

    def unsigned(self, children: Children) -> Node:
        (token,) = children
        raise ExpressionSyntaxError(f"there are no unsigned integers; write {token[:-1]}", token.start_pos)

    def integer(self, children: Children) -> Node:
        (token,) = children
        if token.type == "INT_MIN":
            return tree.Literal(value=INT_MAX + 1, offset=token.start_pos)
        return _literal(token, integer_of)

    def double(self, children: Children) -> Node:
        return _literal(children[0], double_of)

    def text(self, children: Children) -> Node:
        return _literal(children[0], text_of)

    def bytes_(self, children: Children) -> Node:
        return _literal(children[0], bytes_of)

    def true(self, children: Children) -> Node:
        return tree.Literal(value=True, offset=children[0].start_pos)

    def false(self, children: Children) -> Node:
        return tree.Literal(value=False, offset=children[0].start_pos)

    def null(self, children: Children) -> Node:
        return tree.Literal(value=None, offset=children[0].start_pos)


def _is_open(chain: tree.Chain) -> bool:
    inner = chain.depth - 1
    return chain.first.depth == inner or any(operand.depth == inner for _, operand in chain.rest)


def _access(operand: Node, step: tree.Field | tree.Index) -> Node:
    steps = (*operand.steps, step) if isinstance(operand, tree.Access) else (step,)
    first = operand.operand if isinstance(operand, tree.Access) else operand
    return tree.Access(operand=first, steps=steps, offset=operand.offset, depth=_deeper(step.offset, first, *steps))


def _literal(token: Token, read: Any) -> Node:
    try:
        return tree.Literal(value=read(str(token)), offset=token.start_pos or 0)
    except (LiteralInvalid, ExpressionFailed) as error:
        raise ExpressionSyntaxError(str(error), token.start_pos or 0) from None
