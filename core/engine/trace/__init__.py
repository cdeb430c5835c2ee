"""Trace files: one instance whole, masked and readable without a server (ADR 0033)."""
