"""Seeded mutations of valid packages and documents: nothing crashes, hangs, or writes where it must not."""
