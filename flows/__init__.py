"""Prefect: the same stages as flows. Nothing else in the house imports Prefect."""
