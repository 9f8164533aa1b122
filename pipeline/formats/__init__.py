"""What files are, whether they are valid, and what to do about it: foreign tools, made honest."""
