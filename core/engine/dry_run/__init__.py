"""A real dry run: `decide` on a state in memory, nothing committed, nothing called that could be noticed (ADR 0024)."""
