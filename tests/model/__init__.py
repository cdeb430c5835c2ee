"""The engine beside a small model of it, moved in the same way: hypothesis draws what is done, both must agree."""
