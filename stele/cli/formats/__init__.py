"""``stele formats …``: a module a command."""
