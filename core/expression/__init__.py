"""The expression language: CEL over JSON values, typed when a version is saved, bounded by fuel when it runs."""

from core.expression.check import Checked, check
from core.expression.environment import (
    ERROR_TYPE,
    INSTANCE_TYPE,
    LOOP_FIELDS,
    MAP_STEP_FIELDS,
    STEP_FIELDS,
    TRIGGER_TYPE,
    Environment,
    StepView,
    VariableView,
)
from core.expression.fault import ExprFault
from core.expression.names import guards_of, reads_of
from core.expression.plain import to_json
from core.expression.program import Program, compile_expression
from core.expression.rendering import Rendering, compile_template
from core.expression.syntax import ExpressionSyntaxError, parse_expression
from core.expression.template import (
    Template,
    TemplateExpression,
    TemplateFault,
    TemplateSyntaxErrors,
    parse_template,
)
from core.expression.tree import EXPRESSION_BYTES_MAX, NESTING_MAX, Node, Read
from core.expression.types import Type, can_be, type_of_schema
from core.expression.value import ABSENT, FUEL_AMOUNT, ExpressionFailed, Fuel, Value

__all__ = [
    "ABSENT",
    "ERROR_TYPE",
    "EXPRESSION_BYTES_MAX",
    "FUEL_AMOUNT",
    "INSTANCE_TYPE",
    "LOOP_FIELDS",
    "MAP_STEP_FIELDS",
    "NESTING_MAX",
    "STEP_FIELDS",
    "TRIGGER_TYPE",
    "Checked",
    "Environment",
    "ExprFault",
    "ExpressionFailed",
    "ExpressionSyntaxError",
    "Fuel",
    "Node",
    "Program",
    "Read",
    "Rendering",
    "StepView",
    "Template",
    "TemplateExpression",
    "TemplateFault",
    "TemplateSyntaxErrors",
    "Type",
    "Value",
    "VariableView",
    "can_be",
    "check",
    "compile_expression",
    "compile_template",
    "guards_of",
    "parse_expression",
    "parse_template",
    "reads_of",
    "to_json",
    "type_of_schema",
]
