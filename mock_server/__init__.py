"""Stand-ins for other people's services, for examples and tests."""
