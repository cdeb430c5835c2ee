"""Short functions and short modules: the sizes of style's admired codebases, as limits and as a distribution."""

from __future__ import annotations

import statistics

from tests.arch.source import PRODUCT, modules

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400
# Half of the functions have at most 14 lines, nine in ten at most 50.
FUNCTION_LINES_MEDIAN_MAX = 14
FUNCTION_LINES_P90_MAX = 50


def test_function_of_the_product_has_at_most_sixty_lines() -> None:
    long = [
        f"{module.path}:{function.lineno} {function.name} has {length} lines"
        for module in modules(*PRODUCT, "mock_server", "bench")
        for function, length in module.functions()
        if length > FUNCTION_LINES_MAX
    ]

    assert [] == long


def test_module_of_the_product_has_at_most_four_hundred_lines() -> None:
    long = [
        f"{module.path} has {module.line_count} lines"
        for module in modules(*PRODUCT, "mock_server", "bench")
        if module.line_count > MODULE_LINES_MAX
    ]

    assert [] == long


def test_functions_together_are_mostly_short() -> None:
    lengths = sorted(length for module in modules(*PRODUCT) for _, length in module.functions())

    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX
    assert statistics.quantiles(lengths, n=10)[8] <= FUNCTION_LINES_P90_MAX
