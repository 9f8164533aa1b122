"""The AIP as it lies on disk: where everything is, and whether it agrees with itself."""
