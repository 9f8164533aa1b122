"""A bucket of an S3 server as a store."""
