"""Pure Python: DAG, engine, executor, expression and access logic, and the ports they need."""
