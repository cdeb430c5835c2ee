"""The catalogue of metrics as a page for people."""

from __future__ import annotations

from driven_adapters.telemetry.catalog import CATALOG, MetricSpec

_HEAD = """# Metrics

Every metric of a process, as its private server shows them at `/metrics` in Prometheus' text form. Labels are bounded
and never ids, so the number of series does not grow with use. This page is written by
`python -m module.metrics_page > docs/metrics.md`.
"""


def metrics_page() -> str:
    """Give the page as Markdown, one table per source, in the catalogue's order."""
    parts = [_HEAD]
    for source in dict.fromkeys(spec.source for spec in CATALOG):
        rows = [_row(spec) for spec in CATALOG if spec.source == source]
        parts.append(
            "\n".join((f"\n## {source}\n", "| metric | kind | says | labels |", "|---|---|---|---|", *rows, ""))
        )
    return "".join(parts)


def _row(spec: MetricSpec) -> str:
    labels = "; ".join(f"`{label.name}`: {label.values}" for label in spec.labels)
    return f"| `{spec.shown_name}` | {spec.kind} | {spec.meaning} | {labels} |"
