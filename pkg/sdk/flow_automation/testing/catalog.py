"""The operators of a simulated run: all that ship with the product and those given, called through scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.executor.operator import Call, Operator, PureOperator
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import AnyOperator, OperatorPorts, OperatorRegistry
from core.ports.clock import Clock
from core.ports.http_client import EgressForbidden, HttpAnswer, HttpRequest
from core.ports.task_log import TaskLogLine
from driven_adapters.operators import built_in_operators
from flow_automation.testing.call_book import CallBook, CallRecord
from flow_automation.testing.script import Script, ScriptedOperator

# They touch nothing outside: unless a script says something else, they run as they are.
HARMLESS = frozenset({"@debug/noop", "@debug/log", "@debug/fail"})


def scripted_registry(
    clock: Clock,
    given: Iterable[AnyOperator],
    *,
    scripts: list[Script],
    book: CallBook,
    record: Callable[[Call, str], CallRecord],
    write_log: Callable[[TaskLogLine], None],
) -> OperatorRegistry:
    """Make the registry; operators that reach outside answer by script alone.

    Args:
        clock: of operators that ask it.
        given: the test's own operators: they run as they are unless a script fits.
        scripts: looked through at every call. book: gets every call.
        record: makes the record of a call of an operator.
        write_log: takes the lines of `@debug/log`.

    Raises:
        OperatorRefused: an operator breaks the contract, or has the name of another.
    """
    own = list(given)
    shipped = built_in_operators(OperatorPorts(_NoHttp(), clock), write_log)
    is_real = {operator.spec.name for operator in own} | HARMLESS
    made: list[AnyOperator] = [*PURE_OPERATORS]
    for operator in (*shipped, *own):
        if isinstance(operator, PureOperator):
            made.append(operator)
            continue
        real: Operator | None = operator if operator.spec.name in is_real else None
        made.append(ScriptedOperator(operator.spec, scripts, book, record, real))
    return OperatorRegistry(made)


class _NoHttp:
    """`HttpClient` of a run that reaches nothing."""

    async def request(self, request: HttpRequest) -> HttpAnswer:
        """Refuse: no operator that is scripted comes here."""
        return EgressForbidden(request.url)
