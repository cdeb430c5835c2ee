"""What runs on the other side: the process of one run. Standard library only; the engine never runs it in itself."""
