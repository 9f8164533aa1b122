"""Checks with libraries that come with Stele, run in a process of their own (``builtin_worker``).

Each takes a path and returns a ValidationResult; what a hostile file does to a library ends in that
process.
"""
