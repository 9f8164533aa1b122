"""One submission through all stages, from a path to a stored AIP or a report."""
