"""Which operators this process has: the built-in ones and those of third parties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType

import jsonschema_rs
import msgspec

from core.dag.catalog import NO_RETRY, NO_TIMEOUT, Catalog, JsonSchema, OperatorSpec
from core.errors import ErrorKind, FlowError
from core.executor.error_kind import RETRIED_KINDS
from core.executor.operator import Compute, Operator, PureOperator
from core.ports.clock import Clock
from core.ports.http_client import HttpClient

ENTRY_POINT_GROUP = "flow_automation.operators"
SCHEMA_BYTES_MAX = 64 * 1024  # as every schema of a DAG (dag-language.md 1)
OPERATOR_COUNT_MAX = 1000  # every save validates against this catalog, and its schema lists the names


class OperatorRefused(FlowError):
    """An installed operator breaks the contract of operators; the process does not start with it."""

    kind, slug, title = ErrorKind.INVALID, "operator-refused", "Operator is refused"


class OperatorPorts(msgspec.Struct, frozen=True):
    """What a third party's operator may use of this process: guarded HTTP and time."""

    http: HttpClient
    clock: Clock


AnyOperator = Operator | PureOperator
OperatorFactory = Callable[[OperatorPorts], Iterable[AnyOperator]]
"""What an entry point names: a function from ports to the operators of one package."""


class OperatorRegistry:
    """The operators of this process by name; fixed after construction.

    Attributes:
        catalog: declarations by name, in name order: what the language needs to know.
        computations: pure operators' functions by name: what a decision evaluates.
    """

    catalog: Catalog
    computations: Mapping[str, Compute]

    def __init__(self, operators: Iterable[AnyOperator]) -> None:
        """Take every operator once.

        Raises:
            OperatorRefused: two operators of one name, a name or kind that is not allowed, or more than
                OPERATOR_COUNT_MAX; `faults` lists all.
        """
        given = list(operators)
        _refuse_faulty([operator.spec for operator in given])
        given.sort(key=lambda operator: operator.spec.name)
        self.catalog = MappingProxyType({operator.spec.name: operator.spec for operator in given})
        self.computations = MappingProxyType(
            {each.spec.name: each.compute for each in given if isinstance(each, PureOperator)}
        )
        self._operators = {each.spec.name: each for each in given if not isinstance(each, PureOperator)}

    def operator(self, name: str) -> Operator | None:
        """Give the operator that attempts of this name call; None when this process has none."""
        return self._operators.get(name)


def load_operators(entry_points: Iterable[EntryPoint], ports: OperatorPorts) -> list[AnyOperator]:
    """Make the operators of third parties, in the order of the entry points' names.

    Args:
        entry_points: those of ENTRY_POINT_GROUP; each names an `OperatorFactory`.
        ports: handed to each factory.

    Raises:
        OperatorRefused: an entry point cannot be imported, is no function, or gives something else than operators;
            the detail names it.
    """
    found: list[AnyOperator] = []
    for entry_point in sorted(entry_points, key=lambda point: point.name):
        made = _factory(entry_point)(ports)
        if not isinstance(made, Iterable):
            raise OperatorRefused(f"entry point {entry_point.name} gives {type(made).__name__}, not operators")
        for operator in made:
            if not isinstance(operator, PureOperator | Operator):
                raise OperatorRefused(f"entry point {entry_point.name} gives {type(operator).__name__}, no operator")
            found.append(operator)
    return found


def _factory(entry_point: EntryPoint) -> OperatorFactory:
    try:
        factory: object = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise OperatorRefused(f"entry point {entry_point.name} cannot be loaded: {error}") from error
    if not callable(factory):
        raise OperatorRefused(f"entry point {entry_point.name} is {type(factory).__name__}, not a function of ports")
    return factory


def _refuse_faulty(specs: list[OperatorSpec]) -> None:
    faults = [{"operator": spec.name, "message": message} for spec in specs for message in _spec_faults(spec)]
    names = [spec.name for spec in specs]
    faults += [
        {"operator": name, "message": "the name is taken twice"} for name in sorted(set(names)) if names.count(name) > 1
    ]
    if len(specs) > OPERATOR_COUNT_MAX:
        faults.append({"operator": "*", "message": f"more than {OPERATOR_COUNT_MAX} operators"})
    if faults:
        sentence = "; ".join(f"{fault['operator']}: {fault['message']}" for fault in faults)
        raise OperatorRefused(sentence, faults=faults)


def _spec_faults(spec: OperatorSpec) -> list[str]:
    faults = []
    group, _, name = spec.name.partition("/")
    if not (group.startswith("@") and len(group) > 1 and name):
        faults.append("a name is @group/name")
    if group == "@control" or spec.kind == "control":
        faults.append("control operators are the engine's own")
    faults += _schema_faults("parameters", spec.parameters) + _schema_faults("output", spec.output)
    if spec.kind == "pure" and (spec.retry, spec.timeout, spec.has_side_effects) != (NO_RETRY, NO_TIMEOUT, False):
        faults.append("what is computed has no retry, no timeout and no side effects")
    if unknown := sorted(set(spec.retry.on) - RETRIED_KINDS):
        faults.append(f"retry.on names {unknown[0]!r}, which is never retried")
    return faults


def _schema_faults(field: str, schema: JsonSchema) -> list[str]:
    if len(msgspec.json.encode(schema)) > SCHEMA_BYTES_MAX:
        return [f"{field} is larger than {SCHEMA_BYTES_MAX} bytes"]
    try:
        jsonschema_rs.Draft202012Validator(schema, retriever=_deny)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        return [f"{field} is no JSON Schema that stands alone: {str(error).splitlines()[0]}"]
    return []


def _deny(uri: str) -> JsonSchema:
    """Fetch nothing: a schema from elsewhere could be another one tomorrow, or lead inside the network."""
    raise ValueError(f"{uri} is not part of the schema")
