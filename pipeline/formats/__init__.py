"""What files are, whether they are sound, and what to do about it: foreign tools, made honest."""
