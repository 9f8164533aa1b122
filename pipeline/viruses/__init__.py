"""Looking for viruses: what a scanner found, and what it could not look at."""
