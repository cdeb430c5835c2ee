"""The kinds of a task's error (semantics.md S13)."""

from __future__ import annotations

from core.dag.catalog import RETRIED_KINDS_DEFAULT

RETRIED_WHEN_NAMED = ("invalid", "not_found", "unauthenticated", "forbidden", "conflict", "resource")
NEVER_RETRIED = ("expression", "limit", "rejected", "cancelled")

RETRIED_KINDS = frozenset((*RETRIED_KINDS_DEFAULT, *RETRIED_WHEN_NAMED))
ERROR_KINDS = RETRIED_KINDS | frozenset(NEVER_RETRIED)
