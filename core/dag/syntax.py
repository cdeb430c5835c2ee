"""What both notations share: limits of a text and the exception of a reader."""

from __future__ import annotations

# Deeper documents are no DAGs, and readers recurse (dag-language.md 1).
DEPTH_MAX = 64
# JSON integers are 64-bit (semantics.md S30).
INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1


class SyntaxFault(Exception):
    """The text cannot be read. Lines and columns from 1; `pointer` as far as it is known."""

    def __init__(self, message: str, *, line: int, column: int, pointer: str = "", hint: str = "") -> None:
        """Keep the sentence and the place."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.pointer = pointer
        self.hint = hint
