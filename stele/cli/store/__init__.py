"""``stele store …``: a module a command."""
