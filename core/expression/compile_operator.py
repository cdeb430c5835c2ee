"""Code of the operators, with short ways for integers and text."""

from __future__ import annotations

from typing import Any

from core.expression import tree
from core.expression.code import Code, Compile, Run, Scope, fold
from core.expression.operators import ARITHMETIC, ORDER, compare, contains, negate, whole
from core.expression.value import (
    FAILURE_FUEL,
    INT_MAX,
    INT_MIN,
    ExpressionFailed,
    Fuel,
    Value,
    are_equal,
    failed,
    kind_of,
    out_of_fuel,
)


def not_boolean(sign: str, value: Value) -> ExpressionFailed:
    """Make the failure for a condition that is no boolean."""
    return failed(f"{sign} needs a boolean, not {kind_of(value)}")


def compile_not(node: tree.Not, scope: Scope, compile_node: Compile) -> Code:
    """Compile `!`."""
    operand = compile_node(node.operand, scope)
    inner = operand.run

    def run(slots: Any, fuel: Fuel) -> bool:
        value = inner(slots, fuel)
        if value is True:
            return False
        if value is False:
            return True
        raise not_boolean("!", value)

    return fold(Code(run=run, cost=operand.cost + 1), [operand])


def compile_negate(node: tree.Negate, scope: Scope, compile_node: Compile) -> Code:
    """Compile the sign."""
    operand = compile_node(node.operand, scope)
    inner = operand.run
    code = Code(run=lambda slots, fuel: negate(inner(slots, fuel)), cost=operand.cost + 1)
    return fold(code, [operand])


def compile_chain(node: tree.Chain, scope: Scope, compile_node: Compile) -> Code:
    """Compile sums and products, from left to right."""
    first = compile_node(node.first, scope)
    rest = [(sign, compile_node(operand, scope)) for sign, operand in node.rest]
    operands = [first, *(operand for _, operand in rest)]
    cost = sum(operand.cost for operand in operands) + len(rest)
    run = _link(first.run, rest) if len(rest) > 1 else _pair(first.run, rest[0][0], rest[0][1])
    is_plain = all(operand.is_plain for operand in operands)
    return fold(Code(run=run, cost=cost, is_plain=is_plain), operands)


def _link(first: Run, rest: list[tuple[str, Code]]) -> Run:
    parts = [(ARITHMETIC[sign], operand.run) for sign, operand in rest]

    def run(slots: Any, fuel: Fuel) -> Value:
        value = first(slots, fuel)
        for operate, operand in parts:
            value = operate(value, operand(slots, fuel), fuel)
        return value

    return run


def _pair(left: Run, sign: str, operand: Code) -> Run:
    operate, right = ARITHMETIC[sign], operand.run
    if sign == "+":

        def run_sum(slots: Any, fuel: Fuel) -> Value:
            a, b = left(slots, fuel), right(slots, fuel)
            if type(a) is int and type(b) is int:
                total = a + b
                return total if INT_MIN <= total <= INT_MAX else whole(total)
            return operate(a, b, fuel)

        return run_sum
    return lambda slots, fuel: operate(left(slots, fuel), right(slots, fuel), fuel)


def compile_compare(node: tree.Compare, scope: Scope, compile_node: Compile) -> Code:
    """Compile comparisons and `in`."""
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    cost = left.cost + right.cost + 1
    sign = node.operator
    if sign in ("==", "!="):
        run = _equality(left, right, is_equal=sign == "==")
    elif sign == "in":
        run = _membership(left.run, right.run)
    else:
        run = _ordering(sign, left.run, right)
    return fold(Code(run=run, cost=cost), [left, right])


def _equality(left: Code, right: Code, *, is_equal: bool) -> Run:
    a, b = left.run, right.run
    if type(right.constant) is str and len(right.constant) < 1 << 6:
        # Text is as long as it is: comparing with a short constant reads less than 64 bytes.
        text = right.constant

        def run_text(slots: Any, fuel: Fuel) -> bool:
            value = a(slots, fuel)
            return (type(value) is str and value == text) is is_equal

        return run_text

    def run(slots: Any, fuel: Fuel) -> bool:
        return are_equal(a(slots, fuel), b(slots, fuel), fuel) is is_equal

    return run


def _membership(item: Run, items: Run) -> Run:
    return lambda slots, fuel: contains(item(slots, fuel), items(slots, fuel), fuel)


def _ordering(sign: str, left: Run, right_code: Code) -> Run:
    right, test, bound = right_code.run, ORDER[sign], right_code.constant
    if type(bound) is int:

        def run_bound(slots: Any, fuel: Fuel) -> bool:
            value = left(slots, fuel)
            return test(value, bound) if type(value) is int else compare(sign, value, bound, fuel)

        return run_bound

    def run(slots: Any, fuel: Fuel) -> bool:
        a, b = left(slots, fuel), right(slots, fuel)
        if type(a) is int and type(b) is int:
            return test(a, b)
        return compare(sign, a, b, fuel)

    return run


def compile_logic(node: tree.And | tree.Or, scope: Scope, compile_node: Compile) -> Code:
    """Compile `&&` and `||`: a term that decides wins over terms that fail before or after it, as CEL asks."""
    codes = [compile_node(term, scope) for term in node.terms]
    decides = isinstance(node, tree.Or)
    otherwise = not decides
    sign = "||" if decides else "&&"
    first = codes[0].run
    rest = [(code.cost, code.run) for code in codes[1:]]

    def run(slots: Any, fuel: Fuel) -> bool:
        failure: ExpressionFailed | None = None
        try:
            value = first(slots, fuel)
            if value is decides:
                return not otherwise
            if value is not otherwise:
                failure = not_boolean(sign, value)
        except ExpressionFailed as error:
            failure = absorb(error, fuel)
        for cost, term in rest:
            fuel.left -= cost
            if fuel.left < 0:
                raise out_of_fuel()
            try:
                value = term(slots, fuel)
                if value is decides:
                    return not otherwise
                if value is not otherwise:
                    failure = failure or not_boolean(sign, value)
            except ExpressionFailed as error:
                absorbed = absorb(error, fuel)
                failure = failure or absorbed
        if failure is not None:
            raise failure
        return otherwise

    # Each term is a node; the operator itself is one more.
    return fold(Code(run=run, cost=codes[0].cost + 1), codes)


def absorb(error: ExpressionFailed, fuel: Fuel) -> ExpressionFailed:
    """Pay for a failure that may be absorbed, and give it to be remembered; a limit ends everything at once."""
    if error.kind == "limit":
        raise error
    fuel.burn(FAILURE_FUEL)
    return error


def compile_ternary(node: tree.Ternary, scope: Scope, compile_node: Compile) -> Code:
    """Compile `? :`; only one side runs."""
    condition, then, other = (compile_node(part, scope) for part in (node.condition, node.then, node.other))
    choose = condition.run

    def run(slots: Any, fuel: Fuel) -> Value:
        value = choose(slots, fuel)
        if value is not True and value is not False:
            raise not_boolean("? :", value)
        chosen = then if value else other
        fuel.burn(chosen.cost)
        return chosen.run(slots, fuel)

    code = Code(run=run, cost=condition.cost + 1, is_plain=then.is_plain and other.is_plain)
    return fold(code, [condition, then, other])
