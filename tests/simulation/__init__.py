"""A deterministic simulation of the archive: real operations over simulated stores, clock and processes.

``python -m simulation`` (from ``tests/``) runs seeds; see ``docs/explanation/simulation.md``.
"""
