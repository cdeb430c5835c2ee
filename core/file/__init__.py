"""Files: names and media types over the object store."""
