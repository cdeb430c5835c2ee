"""Operators that are functions: computed inside a decision, the same everywhere, bounded by fuel."""

from __future__ import annotations

from core.executor.operator import PureOperator
from core.executor.pure.json_document import JSON_OPERATORS
from core.executor.pure.moment import TIME_OPERATORS
from core.executor.pure.text import TEXT_OPERATORS
from core.executor.pure.transform import DATA_TRANSFORM

PURE_OPERATORS: tuple[PureOperator, ...] = (*TEXT_OPERATORS, *JSON_OPERATORS, *TIME_OPERATORS, DATA_TRANSFORM)

__all__ = ["PURE_OPERATORS"]
