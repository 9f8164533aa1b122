"""``stele aip …``: a module a command."""
