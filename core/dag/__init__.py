"""DAGs: document -> `Dag` (parse, all faults at once) -> `Plan` (flat, compiled), versions and their service."""
