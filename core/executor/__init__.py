"""How operators are declared, found and called: contract, registry, attempt pipeline."""
