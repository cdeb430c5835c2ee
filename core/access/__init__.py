"""Who may do what: API keys, principals, roles and permissions."""
