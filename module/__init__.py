"""Composition root: settings, resources, container and the process entry points."""
