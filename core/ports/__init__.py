"""What the core needs from outside: Protocols in domain verbs, and the frozen values they speak in."""
