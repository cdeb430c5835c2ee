"""The benchmark of the project: `python -m bench` runs the workloads and prints one table."""
