"""``stele accounts …``: a module a command."""
