"""OCFL 1.1 on top of any object store: layouts, inventories, writer, reader, validator."""
