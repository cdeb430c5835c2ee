"""Code of attempts on this machine: a confined process per run (tiers 1 to 3)."""

from __future__ import annotations

from driven_adapters.sandbox.local import LocalRunner

__all__ = ["LocalRunner"]
