"""Labels of instances: the rules of names and values that documents, starts and lists share."""

from __future__ import annotations

from core.dag.shape import Mapped, Templated, Text
from core.ports.row_rules import is_text

# Each is a row of an index, written with the instance: more than these are data, and belong into the inputs.
LABELS_COUNT_MAX = 16
# A name is typed into a query; a value is a key of an index, and 16 of them stay far below a row's bound.
LABEL_NAME_PATTERN = "[A-Za-z_][A-Za-z0-9_.-]{0,62}"
LABEL_NAME_CHARACTERS_MAX = 63
LABEL_VALUE_CHARACTERS_MAX = 256

LABELS = Mapped(
    value=Templated(Text(characters_min=1, characters_max=LABEL_VALUE_CHARACTERS_MAX)),
    name=Text(
        pattern=rf"\A{LABEL_NAME_PATTERN}\Z",
        says=f"must begin with a letter or _ and have at most {LABEL_NAME_CHARACTERS_MAX} letters, digits, _, . and -",
    ),
    count_max=LABELS_COUNT_MAX,
)


def label_value_fault(value: str) -> str:
    """Say in words why a text is no value of a label; the empty string when it is one."""
    if not value:
        return "is an empty text"
    if len(value) > LABEL_VALUE_CHARACTERS_MAX:
        return f"has {len(value)} characters; at most {LABEL_VALUE_CHARACTERS_MAX} are allowed"
    if "\0" in value or not is_text(value):
        return "holds a character that no text has"
    return ""
