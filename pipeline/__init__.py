"""What happens to a package: the stages of ingest, and the ways out.

A stage is an ordinary function from one typed record to the next. It returns problems with the
content as values and raises only when our own machinery broke.
"""
