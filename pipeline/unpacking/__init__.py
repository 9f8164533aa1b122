"""From a folder or an archive file into our custody: what is refused, and how bytes are copied."""
