"""``stele review …``: a module a command."""
