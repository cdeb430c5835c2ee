"""The command line: `flow`."""
