"""Bugs kept as patches: each must make the tests that it names fail, or those tests prove nothing."""
