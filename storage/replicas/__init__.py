"""A store with a part to play in preservation, and reading its copies byte by byte."""
