"""Leaf parts without knowledge of DAGs: JSON values, cursors, redaction, logging."""
