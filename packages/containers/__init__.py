"""The forms a package comes in: a folder, a zip, a tar. Read entry by entry, never unpacked whole."""
