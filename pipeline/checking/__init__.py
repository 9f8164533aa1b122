"""Judging without keeping: submissions, files, and what the stores hold."""
