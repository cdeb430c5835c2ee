"""No text makes the language hang, leave its values or raise anything of its own but its typed errors."""

import random  # noqa: TID251  # seeded, and the seed stands in the message

import pytest

from core.expression import (
    ABSENT,
    Environment,
    ExpressionFailed,
    ExpressionSyntaxError,
    Fuel,
    check,
    compile_expression,
    parse_expression,
    to_json,
)
from tests.oracle.programs import BINDINGS, Programs
from tests.unit.expression.evaluation import NOW

SEED = 20
# About two seconds; the checks of every program take most of it.
MUTANTS_COUNT = 1500
_SIGNS = "()[]{}.,:?!+-*/%<>=&|'\"\\`rb0123456789eExXuU_ $§é\n\t\x00"


def mutate(text: str, draw: random.Random) -> str:
    signs = list(text)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(signs) + 1)
        match draw.randrange(3):
            case 0:
                signs.insert(at, draw.choice(_SIGNS))
            case 1:
                del signs[at : at + draw.randint(1, 3)]
            case _:
                signs[at : at + 1] = signs[at : at + draw.randint(1, 9)] * 2
    return "".join(signs)


def surprise_of(text: str) -> str | None:
    """Give what a text raised beyond the typed errors."""
    try:
        node = parse_expression(text)
        check(node, Environment())
        program = compile_expression(node)
        fuel = Fuel()
        value = program.run([BINDINGS.get(".".join(read.path), ABSENT) for read in program.reads], fuel, NOW)
        to_json(value, fuel)
    except (ExpressionFailed, ExpressionSyntaxError):
        return None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test looks for
        return f"{text!r} raises {error!r}"
    return None


def test_mutated_programs_end_with_a_value_or_a_typed_error() -> None:
    draw, programs = random.Random(SEED), Programs(SEED)  # programs, not secrets
    surprises = [surprise_of(mutate(programs.draw(), draw)) for _ in range(MUTANTS_COUNT)]

    assert [] == [found for found in surprises if found], f"seed {SEED}"


@pytest.mark.parametrize(
    "text",
    [
        "x.__class__",
        "x['__class__']",
        "''.__class__.__mro__",
        "m.__init__",
        "'{0.__class__}'.format(x)",
        "m.items()",
        "now().__class__",
        "now().replace(1)",
        "xs.__len__",
        "xs['append']",
        "[1].map(x, __import__('os'))",
        "eval('1')",
    ],
)
def test_nothing_of_the_host_language_can_be_reached(text: str) -> None:
    program = compile_expression(parse_expression(text))

    with pytest.raises(ExpressionFailed):
        program.run([BINDINGS.get(".".join(read.path), ABSENT) for read in program.reads], Fuel(), NOW)
