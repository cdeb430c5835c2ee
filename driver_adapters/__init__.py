"""Who calls the core: HTTP and the command line."""
