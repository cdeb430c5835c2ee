"""Real processes, really killed: the engine on SQLite, an independent target with a ledger, a driver with a history."""
