"""Other engines on the same workloads, each behind one function that gives rows like those of this project's engine."""
