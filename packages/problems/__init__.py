"""What can be wrong with a package, and the catalogue of every problem: code, clause, what to do."""
