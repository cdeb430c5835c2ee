"""Mutants: one comparison, connective, sum, number or statement of a function changed."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).parents[2]

Edit = Callable[[], None]
_OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATION: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_WHOLE_TESTS = (ast.Name, ast.Attribute, ast.Call)  # others have a part that is changed


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change: the `number`-th of the function `name` (`Class.method`) of the file at `path`."""

    path: str
    name: str
    number: int
    line: int
    told: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name} {self.told}"


def mutants_of(path: str, names: frozenset[str] | None = None) -> list[Mutant]:
    """List the mutants of a file's functions, those inside functions with them; `names` = of these alone."""
    found = []
    for name, function in _functions(_parsed(path)):
        if names is None or name in names:
            edits = enumerate(_edits(function))
            found += [Mutant(path, name, number, line, told) for number, (line, told, _) in edits]
    return found


def code_of(mutant: Mutant) -> CodeType:
    """Compile the file with the change, and give the code of the function.

    Raises:
        LookupError: the file has no such function.
    """
    tree = copy.deepcopy(_parsed(mutant.path))
    function = next(found for name, found in _functions(tree) if name == mutant.name)
    _, _, edit = list(_edits(function))[mutant.number]
    edit()
    whole = compile(ast.fix_missing_locations(tree), str(ROOT / mutant.path), "exec")
    return _find(whole, mutant.name.split("."))


def lines_of(mutant: Mutant) -> range:
    """Give the lines of the statement that is changed, but not those of statements in it."""
    function = next(found for name, found in _functions(_parsed(mutant.path)) if name == mutant.name)
    around = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and mutant.line in _lines(node)]
    inmost = max(around, key=lambda node: node.lineno)
    inside = [node for node in ast.walk(inmost) if isinstance(node, ast.stmt) and node.lineno > inmost.lineno]
    return range(inmost.lineno, min((node.lineno for node in inside), default=_lines(inmost).stop))


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def _find(code: CodeType, names: list[str]) -> CodeType:
    for name in names:
        code = next(part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name)
    return code


def _edits(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, str, Edit]]:
    """Give every change: its line, what it is, and what makes it. Signatures, docstrings and messages stay."""
    for statement in function.body:
        for node in ast.walk(statement):
            yield from _edits_at(node)


def _edits_at(node: ast.AST) -> Iterator[tuple[int, str, Edit]]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = _OTHER[type(operator)]
                told = f"{type(operator).__name__} -> {other.__name__}"
                yield node.lineno, told, functools.partial(node.ops.__setitem__, place, other())
        case ast.BoolOp():
            swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node.lineno, f"-> {type(swapped).__name__}", lambda: setattr(node, "op", swapped)
        case ast.UnaryOp(op=ast.Not()):
            again = ast.UnaryOp(ast.Not(), node.operand)
            yield node.lineno, "not removed", lambda: setattr(node, "operand", again)
        case ast.BinOp() if type(node.op) in _OPERATION:
            changed = _OPERATION[type(node.op)]()
            yield node.lineno, f"-> {type(changed).__name__}", lambda: setattr(node, "op", changed)
        case ast.If() | ast.IfExp() if isinstance(node.test, _WHOLE_TESTS):
            turned = ast.UnaryOp(ast.Not(), node.test)
            yield node.lineno, "condition turned", lambda: setattr(node, "test", turned)
        case ast.Constant(value=bool() | int() as present):
            value = (not present) if isinstance(present, bool) else present + 1
            yield node.lineno, f"{present} -> {value}", functools.partial(setattr, node, "value", value)
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield node.lineno, "statement removed", lambda: setattr(node, "value", ast.Constant(None))
