"""Which names of an expression are references, and which steps a condition proves (semantics.md S20, S32).

Resolution is static: a reference is a path of names known when a version is saved, so that a program takes its values
as numbered slots and nothing is looked up by a computed name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from core.expression import tree
from core.expression.tree import Node, Read

# How many names a reference has under its root; roots that are not here are read whole and then selected from.
PATH_LENGTHS: Final[Mapping[str, int]] = {"steps": 3, "loops": 3, "vars": 2, "callbacks": 2, "connections": 2}
# Every name under this root belongs to the reference: parts of a secret are not selected from a value.
SECRETS: Final = "secrets"
SUCCEEDED: Final = "succeeded"
TYPE_NAMES: Final = frozenset({"bool", "int", "double", "string", "bytes", "list", "map", "null_type", "type"})

Guards: TypeAlias = frozenset[str]
Bound: TypeAlias = frozenset[str]
NOTHING: Final[frozenset[str]] = frozenset()


class Reference(msgspec.Struct, frozen=True):
    """What an access refers to: the path of its slot, and the steps that select from the value there."""

    path: tuple[str, ...]
    rest: tuple[tree.Field | tree.Index, ...]


def reference_of(node: Node, bound: Bound) -> Reference | None:
    """Resolve a name or an access to a reference; None when it starts at a macro's variable, a type or a computation.

    A path that is too short for its root (`steps`, `steps.a`, `steps[x]`) is given as it stands; the check refuses it.

    Args:
        node: any node.
        bound: variables of the macros around it, which hide other names.
    """
    if isinstance(node, tree.Name):
        return None if node.name in bound or node.name in TYPE_NAMES else Reference((node.name,), ())
    if not isinstance(node, tree.Access) or not isinstance(node.operand, tree.Name) or node.operand.name in bound:
        return None
    root = node.operand.name
    most = len(node.steps) if root == SECRETS else PATH_LENGTHS.get(root, 1) - 1
    path = [root]
    for step in node.steps[:most]:
        name = static_name(step)
        if name is None:
            break
        path.append(name)
    return Reference(tuple(path), node.steps[len(path) - 1 :])


def static_name(step: tree.Field | tree.Index) -> str | None:
    """Give the name that a step of an access selects, None when it is computed or no text."""
    if isinstance(step, tree.Field):
        return step.name
    key = step.key
    return key.value if isinstance(key, tree.Literal) and isinstance(key.value, str) else None


def guard_name(path: tuple[str, ...]) -> str | None:
    """Give what `has()` of this path proves: a step's id, or `vars.<name>`, which is no id as it has a dot."""
    if len(path) == 3 and path[0] == "steps" and path[2] == "output":
        return path[1]
    return f"vars.{path[1]}" if len(path) == 2 and path[0] == "vars" else None


def guards_of(node: Node, *, truth: bool = True, bound: Bound = NOTHING) -> Guards:
    """Give the steps whose output surely exists when a condition came out as `truth`.

    Returns:
        Step ids, and `vars.<name>` for variables.
    """
    match node:
        case tree.Not(operand=operand):
            return guards_of(operand, truth=not truth, bound=bound)
        case tree.And(terms=terms) | tree.Or(terms=terms):
            proofs = [guards_of(term, truth=truth, bound=bound) for term in terms]
            # A true `and` has every term true, a false one only some term; `or` is its mirror.
            every = isinstance(node, tree.And) is truth
            return frozenset.union(*proofs) if every else frozenset.intersection(*proofs)
        case tree.Has(access=access) if truth:
            reference = reference_of(access, bound)
            name = guard_name(reference.path) if reference else None
            return frozenset({name}) if name else NOTHING
        case tree.Compare(operator=operator) if operator == ("==" if truth else "!="):
            return _status_guard(node, bound)
        case _:
            return NOTHING


def _status_guard(node: tree.Compare, bound: Bound) -> Guards:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        reference = reference_of(side, bound)
        is_status = reference is not None and len(reference.path) == 3 and reference.path[0] == "steps"
        if is_status and isinstance(other, tree.Literal) and other.value == SUCCEEDED and reference is not None:
            return frozenset({reference.path[1]}) if reference.path[2] == "status" and not reference.rest else NOTHING
    return NOTHING


def reads_of(*nodes: Node) -> tuple[Read, ...]:
    """List the references of expressions, each path once, in the order in which they are met."""
    found: dict[tuple[str, ...], bool] = {}
    for node in nodes:
        for path, is_guarded in _walk(node, NOTHING, NOTHING):
            found[path] = found.get(path, True) and is_guarded
    return tuple(Read(path, is_guarded) for path, is_guarded in found.items())


def _walk(node: Node, bound: Bound, proven: Guards) -> Iterator[tuple[tuple[str, ...], bool]]:
    reference = reference_of(node, bound)
    if reference is not None:
        yield reference.path, guard_name(reference.path) in proven
        yield from _walk_steps(reference.rest, bound, proven)
        return
    match node:
        case tree.Has(access=access):
            inner = reference_of(access, bound)
            # What has() asks for is guarded by being asked; keys that it computes are not.
            known = proven | {guard_name(inner.path)} if inner else proven
            for path, is_guarded in _walk(access, bound, frozenset(name for name in known if name)):
                yield path, is_guarded or (inner is not None and path == inner.path)
        case tree.And(terms=terms) | tree.Or(terms=terms):
            for term in terms:
                yield from _walk(term, bound, proven)
                proven |= guards_of(term, truth=isinstance(node, tree.And), bound=bound)
        case tree.Ternary(condition=condition, then=then, other=other):
            yield from _walk(condition, bound, proven)
            yield from _walk(then, bound, proven | guards_of(condition, bound=bound))
            yield from _walk(other, bound, proven | guards_of(condition, truth=False, bound=bound))
        case tree.Macro(items=items, variable=variable, condition=condition, body=body):
            yield from _walk(items, bound, proven)
            bound |= {variable}
            if condition is not None:
                yield from _walk(condition, bound, proven)
                proven |= guards_of(condition, bound=bound)
            yield from _walk(body, bound, proven)
        case _:
            for child in children_of(node):
                yield from _walk(child, bound, proven)


def _walk_steps(
    steps: tuple[tree.Field | tree.Index, ...], bound: Bound, proven: Guards
) -> Iterator[tuple[tuple[str, ...], bool]]:
    for step in steps:
        if isinstance(step, tree.Index):
            yield from _walk(step.key, bound, proven)


def children_of(node: Node) -> tuple[Node, ...]:
    """Give the nodes right below a node, keys of an access and the condition of a macro included."""
    match node:
        case tree.Access(operand=operand, steps=steps):
            return (operand, *(step.key for step in steps if isinstance(step, tree.Index)))
        case tree.Not(operand=operand) | tree.Negate(operand=operand):
            return (operand,)
        case tree.Has(access=access):
            return (access,)
        case tree.Chain(first=first, rest=rest):
            return (first, *(operand for _, operand in rest))
        case tree.Compare(left=left, right=right):
            return (left, right)
        case tree.And(terms=terms) | tree.Or(terms=terms):
            return terms
        case tree.Ternary(condition=condition, then=then, other=other):
            return (condition, then, other)
        case tree.ListLiteral(items=items):
            return items
        case tree.MapLiteral(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case tree.Call(receiver=receiver, args=args):
            return args if receiver is None else (receiver, *args)
        case tree.Macro(items=items, condition=None, body=body):
            return (items, body)
        case tree.Macro(items=items, condition=tree.Part() as condition, body=body):
            return (items, condition, body)
        case _:
            return ()
