"""What an S3 server really does with what we rely on, tried on a key of our own."""
