"""``stele submissions …``: a module a command."""
