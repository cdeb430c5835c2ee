"""The engine: pure decisions over frames, their journal, and the node that turns them into durable commits."""
