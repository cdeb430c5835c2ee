"""The production engine on simulated time, store, clocks and operators: `python -m tests.sim --seed 7`."""
