"""What the core calls: stores, the guarded HTTP client, operators, clock, telemetry."""
